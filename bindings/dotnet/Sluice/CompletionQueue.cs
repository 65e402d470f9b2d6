// SPDX-License-Identifier: MIT
using System;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Threading;

namespace Sluice;

/// <summary>
/// Ends of operations on their way from an engine to the pool. A work item runs them one after another, because
/// to wake a thread for each costs more than most of them. It asks for another when it has run for a while; the
/// engine does when a handler blocks, so that it stops no other.
/// </summary>
internal sealed class CompletionQueue : IThreadPoolWorkItem
{
    /// <summary>How often the engine looks while there are ends that no work item has taken.</summary>
    public const long WatchNanoseconds = 1_000_000;

    private static readonly long s_alone = Stopwatch.Frequency / 20_000; /* 50 us */
    private static readonly long s_slice = Stopwatch.Frequency / 66;     /* 15 ms */

    private readonly ConcurrentQueue<IRecordOwner> _ended = new();
    private int _workers; /* queued or running */
    private int _taken;
    private int _seen;

    /// <summary>The engine's thread, which schedules once a turn.</summary>
    public void Add(IRecordOwner owner) => _ended.Enqueue(owner);

    /// <summary>From elsewhere, where nobody watches.</summary>
    public void AddForeign(IRecordOwner owner)
    {
        _ended.Enqueue(owner);
        StartWorker();
    }

    public bool IsEmpty => _ended.IsEmpty;

    public void Schedule()
    {
        if (!_ended.IsEmpty && Interlocked.CompareExchange(ref _workers, 1, 0) == 0)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    /// <summary>The engine has waited: if nothing was taken meanwhile, somebody blocks.</summary>
    public void Watch()
    {
        int taken = Volatile.Read(ref _taken);

        if (taken == _seen && !_ended.IsEmpty)
            StartWorker();
        _seen = taken;
    }

    private void StartWorker()
    {
        Interlocked.Increment(ref _workers);
        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    void IThreadPoolWorkItem.Execute()
    {
        long start = Stopwatch.GetTimestamp();
        bool isAlone = true;

        while (_ended.TryDequeue(out IRecordOwner? owner))
        {
            Volatile.Write(ref _taken, _taken + 1);
            owner.Continue();

            long elapsed = Stopwatch.GetTimestamp() - start;

            if (elapsed < s_alone || _ended.IsEmpty)
                continue;
            if (isAlone)
                StartWorker();
            isAlone = false;
            /* The pool may use the thread for something else. */
            if (elapsed > s_slice)
                break;
        }
        Interlocked.Decrement(ref _workers);
        /* What was added since the last look, when this was a worker still. */
        Schedule();
    }
}
