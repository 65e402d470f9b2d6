// SPDX-License-Identifier: MIT
using System;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;

namespace Sluice;

public sealed partial class Socket
{
    private readonly Lock _flowLock = new();
    private long _high = long.MaxValue;
    private TaskCompletionSource<bool>? _drained;

    // ---- many sockets ----

    /// <summary>
    /// Sends one buffer to many sockets, of any engines, as one operation. The result is the number of sockets
    /// that took all of it; a socket that is closed or not connected takes nothing.
    /// </summary>
    public static ValueTask<int> SendManyAsync(ReadOnlySpan<Socket> sockets, ReadOnlyMemory<byte> buffer,
        SocketFlags socketFlags = SocketFlags.None) => ManyOperation.Send(sockets, buffer, socketFlags);

    // ---- flow control ----

    /// <summary>Bytes of memory queued or in flight; file data is not counted.</summary>
    public long QueuedBytes
    {
        get
        {
            if (!_handle.Enter())
                return 0;
            long bytes = (long)Native.SocketQueuedBytes(_handle.Native);

            _handle.Exit();
            return bytes;
        }
    }

    /// <summary>
    /// Above high, <see cref="WaitToSendAsync"/> waits until low is reached. A send that would take the queue
    /// above limit is refused with NoBufferSpaceAvailable (0: no limit). Takes effect in the engine's next turn.
    /// </summary>
    public void SetWaterMarks(long low, long high, long limit = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(low);
        ArgumentOutOfRangeException.ThrowIfLessThan(high, low);
        ArgumentOutOfRangeException.ThrowIfNegative(limit);
        ThrowIfDisposed();
        Volatile.Write(ref _high, high);
        OnEngine(() => Native.SocketSetWaterMarks(_handle.Native, (nuint)low, (nuint)high, (nuint)limit));
    }

    /// <summary>Whether an operation that is given up half-sent ends the stream, so that nothing follows it.</summary>
    public void SetEndOnGiveUp(bool value) => SetOption(1, value ? 1 : 0);

    /// <summary>The maximum rate of TCP, in bytes per second (SO_MAX_PACING_RATE); 0 is no limit.</summary>
    public void SetRate(long bytesPerSecond)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytesPerSecond);
        SetOption(2, bytesPerSecond);
    }

    /// <summary>
    /// The kernel takes more of a TCP stream only while it holds fewer unsent bytes than this; the rest stays in the
    /// socket's queue, where it can be cancelled. 0 is the system's net.ipv4.tcp_notsent_lowat.
    /// </summary>
    public void SetUnsentLow(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        SetOption(3, bytes);
    }

    /* SLUICE_SOCKET_*. */
    private void SetOption(int option, long value)
    {
        ThrowIfDisposed();
        OnEngine(() => Native.SocketSetOption(_handle.Native, option, value));
    }

    /* At once there, else in the next turn. */
    private void OnEngine(Func<int> call)
    {
        if (Engine.IsCurrentThread)
        {
            if (_handle.Enter())
                call();
            return;
        }
        Engine.Post(static state => ((Action)state!)(), () =>
        {
            if (_handle.Enter())
                call();
        });
    }

    /// <summary>
    /// True as soon as no more is queued than the marks allow; false when the socket is closed. Without marks
    /// it is true at once.
    /// </summary>
    public ValueTask<bool> WaitToSendAsync(CancellationToken cancellationToken = default)
    {
        if (IsDisposed)
            return new ValueTask<bool>(false);
        if (QueuedBytes <= Volatile.Read(ref _high))
            return new ValueTask<bool>(true);

        Task<bool> waiting = WaitUntilDrained();

        return new ValueTask<bool>(cancellationToken.CanBeCanceled ? waiting.WaitAsync(cancellationToken) : waiting);
    }

    private Task<bool> WaitUntilDrained()
    {
        lock (_flowLock)
        {
            if (_drained != null)
                return _drained.Task;
            _drained = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
            if (!Engine.TryPost(static state => ((Socket)state!).LookWhetherDrained(), this))
                _drained.SetResult(false);
            return _drained.Task;
        }
    }

    /* On the engine's thread: the drained handler runs if the queue is above the high mark now. */
    private void LookWhetherDrained()
    {
        if (!_handle.Enter() || IsDisposed)
        {
            Drained(false);
            return;
        }
        _handle.OnceDrained(() => Drained(true));
        if (QueuedBytes <= Volatile.Read(ref _high))
            Drained(true);
    }

    private void Drained(bool mayGoOn)
    {
        TaskCompletionSource<bool>? drained;

        lock (_flowLock)
        {
            drained = _drained;
            _drained = null;
        }
        drained?.TrySetResult(mayGoOn && !IsDisposed);
    }

    // ---- the end ----

    /// <summary>As Dispose, in its place; the task ends when the descriptor is closed and its port free.</summary>
    public Task CloseAsync()
    {
        Task closed = _handle.WhenClosed();

        Dispose();
        return closed;
    }

    /// <summary>The same after the last queued byte, or when the time is over.</summary>
    public Task CloseAsync(TimeSpan timeout)
    {
        Task closed = _handle.WhenClosed();

        _handle.CloseGracefully(Time.Nanoseconds(timeout));
        Forget();
        return closed;
    }
}
