// SPDX-License-Identifier: MIT
using System;

namespace Sluice;

/// <summary>How an engine reaches the kernel.</summary>
public enum SluiceBackend
{
    /// <summary>The environment's SLUICE_BACKEND, else io_uring, else epoll.</summary>
    Auto,

    /// <summary>io_uring, or the constructor throws.</summary>
    Uring,

    /// <summary>epoll.</summary>
    Epoll,
}

/// <summary>Where handlers, callbacks and continuations run.</summary>
public enum SluiceCompletion
{
    /// <summary>On the thread pool, as in System.Net.Sockets. They may block.</summary>
    ThreadPool,

    /// <summary>
    /// On the engine's thread, one after another. What they start leaves together. While one of them
    /// blocks, so does every socket of the engine.
    /// </summary>
    EngineThread,
}

/// <summary>When large sends to other machines go without a copy.</summary>
public enum SluiceZeroCopy
{
    /// <summary>If the engine finds it of use on a connection.</summary>
    Auto,

    /// <summary>Never.</summary>
    Off,

    /// <summary>Whenever a send is large enough.</summary>
    Always,
}

/// <summary>Options of an engine. Each default is that of the C library.</summary>
public sealed class SluiceEngineOptions
{
    /// <summary>The name of the engine's thread.</summary>
    public string Name { get; set; } = "Sluice engine";

    public SluiceBackend Backend { get; set; }

    /// <summary>Where the operations of new sockets complete; <see cref="Socket.Completion"/> changes it.</summary>
    public SluiceCompletion Completion { get; set; }

    /// <summary>The hard limit of bytes queued on a new socket; 0 is none.</summary>
    public long QueueLimitBytes { get; set; }

    public SluiceZeroCopy ZeroCopy { get; set; }

    /// <summary>A kernel thread submits (SQPOLL). Use it only if a core can be dedicated.</summary>
    public bool SubmissionThread { get; set; }

    /// <summary>
    /// How long a closed socket keeps its descriptor while the peer has not acknowledged everything;
    /// null is the library's default.
    /// </summary>
    public TimeSpan? CloseLinger { get; set; }

    /// <summary>Most memory of the engine's receive buffers; 0 is the library's default.</summary>
    public long ReceiveBytesMax { get; set; }

    /// <summary>Bytes of each receive buffer; 0 is the library's default.</summary>
    public int ReceiveBufferBytes { get; set; }

    /// <summary>
    /// How long a turn may wait for several completions instead of the first: fewer system calls for some
    /// latency. At most a second; zero is not at all.
    /// </summary>
    public TimeSpan WaitBudget { get; set; }

    internal NativeOptions ToNative()
    {
        NativeOptions native;

        unsafe
        {
            Native.OptionsInit(&native, (nuint)sizeof(NativeOptions));
        }
        native.Backend = (uint)Backend;
        native.QueueLimitBytes = (ulong)QueueLimitBytes;
        native.ZeroCopy = (uint)ZeroCopy;
        native.SubmissionThread = SubmissionThread ? 1u : 0u;
        /* The runtime ignores SIGPIPE. */
        native.SigpipeIgnored = 1;
        if (CloseLinger is { } linger)
            native.CloseLingerNanoseconds = Time.Nanoseconds(linger);
        if (ReceiveBytesMax > 0)
            native.ReceiveBytesMax = (ulong)ReceiveBytesMax;
        if (ReceiveBufferBytes > 0)
            native.ReceiveBufferBytes = (uint)ReceiveBufferBytes;
        native.WaitBudgetNanoseconds = Time.Nanoseconds(WaitBudget);
        return native;
    }
}

internal static class Time
{
    /// <summary>Nanoseconds of a time-out; -1 of an infinite one.</summary>
    public static long Nanoseconds(TimeSpan time)
    {
        if (time == System.Threading.Timeout.InfiniteTimeSpan)
            return -1;
        ArgumentOutOfRangeException.ThrowIfLessThan(time, TimeSpan.Zero, nameof(time));
        return time.Ticks > long.MaxValue / 100 ? long.MaxValue : time.Ticks * 100;
    }
}
