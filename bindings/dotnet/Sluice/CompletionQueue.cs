// SPDX-License-Identifier: MIT
using System;
using System.Collections.Concurrent;
using System.Threading;

namespace Sluice;

/// <summary>
/// Ends of operations on their way from an engine to the pool. A work item takes several, one after
/// another; before it runs the first it asks for a second work item, so that a handler that blocks
/// stops no other.
/// </summary>
internal sealed class CompletionQueue : IThreadPoolWorkItem
{
    /* After so long the pool may use the thread for something else. */
    private const int SliceMilliseconds = 15;

    private readonly ConcurrentQueue<IRecordOwner> _ended = new();
    private int _scheduled;

    /// <summary>The engine's thread, which schedules once a turn.</summary>
    public void Add(IRecordOwner owner) => _ended.Enqueue(owner);

    public void Schedule()
    {
        if (!_ended.IsEmpty && Interlocked.CompareExchange(ref _scheduled, 1, 0) == 0)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    void IThreadPoolWorkItem.Execute()
    {
        /* Whatever is added from here on is seen below, or schedules again. */
        Interlocked.Exchange(ref _scheduled, 0);
        if (!_ended.TryDequeue(out IRecordOwner? owner))
            return;
        Schedule();

        long start = Environment.TickCount64;

        do
        {
            owner.Continue();
            if (Environment.TickCount64 - start < SliceMilliseconds)
                continue;
            Schedule();
            return;
        }
        while (_ended.TryDequeue(out owner));
    }
}
