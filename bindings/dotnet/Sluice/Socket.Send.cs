// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;

namespace Sluice;

public sealed unsafe partial class Socket
{
    private const long NoTimeout = 0;

    // ---- starting ----

    internal int StartSend(NativeArgs* args)
    {
        if (!_handle.Enter())
            return -Errno.EBADF;
        if (SluiceEngine.InForeignBatch)
            args->Flags |= (uint)SluiceFlags.Batched;
        int answer = Native.SendAsync(_handle.Native, args);

        _handle.Exit();
        return answer;
    }

    private int StartSendTo(NativeArgs* args)
    {
        if (!_handle.Enter())
            return -Errno.EBADF;
        if (SluiceEngine.InForeignBatch)
            args->Flags |= (uint)SluiceFlags.Batched;
        int answer = Native.SendToAsync(_handle.Native, args);

        _handle.Exit();
        return answer;
    }

    /// <summary>An operation with flags and a time-out, of a call with this name.</summary>
    private ValueOperation Operation(SocketFlags flags, long timeoutNanoseconds)
    {
        ThrowIfDisposed();

        ValueOperation operation = ValueOperation.Rent(this);

        operation.Record.Args->Flags = (uint)flags;
        operation.Record.Args->TimeoutNanoseconds = timeoutNanoseconds;
        return operation;
    }

    private static long TimeoutOf(TimeSpan timeout)
    {
        long nanoseconds = Time.Nanoseconds(timeout);

        return nanoseconds < 0 ? NoTimeout : Math.Max(1, nanoseconds);
    }

    /// <summary>What waits would wait for ever there.</summary>
    private void ThrowIfEngine()
    {
        if (Engine.IsCurrentThread)
            throw Refusal.Of(-Errno.EDEADLK);
    }

    private ValueOperation ToWaitFor(SocketFlags flags, int timeoutMilliseconds)
    {
        ThrowIfDisposed();
        ThrowIfEngine();

        ValueOperation operation = Operation(flags, timeoutMilliseconds * 1_000_000L);

        operation.Block();
        return operation;
    }

    private static int Waited(long bytes, SocketError error, int nativeError) =>
        error == SocketError.Success ? (int)bytes : throw new SluiceSocketException(error, nativeError, bytes);

    // ---- SocketAsyncEventArgs ----

    /// <summary>The answer of a starting call, as .NET tells it.</summary>
    private static bool Answer(SocketAsyncEventArgs e, int answer)
    {
        if (answer > 0)
            return true;
        if (answer == 0)
        {
            e.EndedAtOnce();
            return false;
        }
        e.Abandon();
        throw Refusal.Of(answer, nameof(e));
    }

    private void Begin(SocketAsyncEventArgs e, SocketAsyncOperation operation)
    {
        ThrowIfDisposed();
        ArgumentNullException.ThrowIfNull(e);
        e.Begin(this, operation);
    }

    /// <summary>
    /// True: pending, and the handler will run. False: the operation has ended, well or badly, the handler does
    /// not run, and the results may be read.
    /// </summary>
    public bool SendAsync(SocketAsyncEventArgs e)
    {
        Begin(e, SocketAsyncOperation.Send);
        try
        {
            e.PrepareMemory();
        }
        catch
        {
            e.Abandon();
            throw;
        }
        return Answer(e, StartSend(e.Record.Args));
    }

    public bool SendToAsync(SocketAsyncEventArgs e)
    {
        Begin(e, SocketAsyncOperation.SendTo);
        try
        {
            if (e.RemoteEndPoint == null)
                throw new ArgumentException("RemoteEndPoint is not set.", nameof(e));
            e.PrepareMemory();
            SetRemote(e.Record, e.RemoteEndPoint);
        }
        catch
        {
            e.Abandon();
            throw;
        }
        return Answer(e, StartSendTo(e.Record.Args));
    }

    private void SetRemote(Record record, EndPoint remoteEP)
    {
        ArgumentNullException.ThrowIfNull(remoteEP);
        if (remoteEP is DnsEndPoint)
            throw new ArgumentException("A name is not resolved here.", nameof(remoteEP));
        /* A dual-mode socket reaches IPv4 by mapped addresses. */
        if (AddressFamily == AddressFamily.InterNetworkV6 &&
            remoteEP is IPEndPoint { AddressFamily: AddressFamily.InterNetwork } v4)
            remoteEP = new IPEndPoint(v4.Address.MapToIPv6(), v4.Port);
        record.SetRemote(remoteEP);
    }

    // ---- awaited ----

    public ValueTask<int> SendAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        SendCore(buffer, SocketFlags.None, NoTimeout, cancellationToken);

    public ValueTask<int> SendAsync(ReadOnlyMemory<byte> buffer, SocketFlags socketFlags,
        CancellationToken cancellationToken = default) => SendCore(buffer, socketFlags, NoTimeout, cancellationToken);

    /// <summary>As SendAsync; it fails with TimedOut when the time is over.</summary>
    public ValueTask<int> SendAsync(ReadOnlyMemory<byte> buffer, TimeSpan timeout,
        CancellationToken cancellationToken = default) =>
        SendCore(buffer, SocketFlags.None, TimeoutOf(timeout), cancellationToken);

    private ValueTask<int> SendCore(ReadOnlyMemory<byte> buffer, SocketFlags flags, long timeout,
        CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled<int>(cancellationToken);

        ValueOperation operation = Operation(flags, timeout);

        operation.Record.SetBuffer(buffer);
        return operation.ToInt32(StartSend(operation.Record.Args), cancellationToken);
    }

    public Task<int> SendAsync(ArraySegment<byte> buffer) => SendAsync(buffer, SocketFlags.None);

    public Task<int> SendAsync(ArraySegment<byte> buffer, SocketFlags socketFlags)
    {
        ArgumentNullException.ThrowIfNull(buffer.Array, nameof(buffer));
        return SendCore(buffer, socketFlags, NoTimeout, default).AsTask();
    }

    public Task<int> SendAsync(IList<ArraySegment<byte>> buffers) => SendAsync(buffers, SocketFlags.None);

    public Task<int> SendAsync(IList<ArraySegment<byte>> buffers, SocketFlags socketFlags) =>
        SendListAsync(buffers, socketFlags).AsTask();

    /// <summary>Several buffers as if they were one.</summary>
    public ValueTask<int> SendListAsync(IList<ArraySegment<byte>> buffers, SocketFlags socketFlags = SocketFlags.None,
        CancellationToken cancellationToken = default)
    {
        CheckList(buffers);
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled<int>(cancellationToken);

        ValueOperation operation = Operation(socketFlags, NoTimeout);

        operation.Record.SetList(buffers);
        return operation.ToInt32(StartSend(operation.Record.Args), cancellationToken);
    }

    private static void CheckList(IList<ArraySegment<byte>> buffers)
    {
        ArgumentNullException.ThrowIfNull(buffers);
        if (buffers.Count == 0)
            throw new ArgumentException("The list has no segments.", nameof(buffers));
        for (int i = 0; i < buffers.Count; i++)
            ArgumentNullException.ThrowIfNull(buffers[i].Array, "segment");
    }

    public Task<int> SendToAsync(ArraySegment<byte> buffer, EndPoint remoteEP) =>
        SendToAsync(buffer, SocketFlags.None, remoteEP);

    public Task<int> SendToAsync(ArraySegment<byte> buffer, SocketFlags socketFlags, EndPoint remoteEP)
    {
        ArgumentNullException.ThrowIfNull(buffer.Array, nameof(buffer));
        return SendToAsync((ReadOnlyMemory<byte>)buffer, socketFlags, remoteEP).AsTask();
    }

    public ValueTask<int> SendToAsync(ReadOnlyMemory<byte> buffer, EndPoint remoteEP,
        CancellationToken cancellationToken = default) =>
        SendToAsync(buffer, SocketFlags.None, remoteEP, cancellationToken);

    public ValueTask<int> SendToAsync(ReadOnlyMemory<byte> buffer, SocketFlags socketFlags, EndPoint remoteEP,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(remoteEP);
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled<int>(cancellationToken);

        ValueOperation operation = Operation(socketFlags, NoTimeout);

        try
        {
            operation.Record.SetBuffer(buffer);
            SetRemote(operation.Record, remoteEP);
        }
        catch
        {
            operation.Abandon();
            throw;
        }
        return operation.ToInt32(StartSendTo(operation.Record.Args), cancellationToken);
    }

    // ---- waited for ----

    public int Send(byte[] buffer) => Send(buffer, 0, buffer?.Length ?? 0, SocketFlags.None);

    public int Send(byte[] buffer, SocketFlags socketFlags) => Send(buffer, 0, buffer?.Length ?? 0, socketFlags);

    public int Send(byte[] buffer, int size, SocketFlags socketFlags) => Send(buffer, 0, size, socketFlags);

    public int Send(byte[] buffer, int offset, int size, SocketFlags socketFlags)
    {
        CheckBuffer(buffer, offset, size);
        return Send(buffer.AsSpan(offset, size), socketFlags);
    }

    public int Send(byte[] buffer, int offset, int size, SocketFlags socketFlags, out SocketError errorCode)
    {
        CheckBuffer(buffer, offset, size);
        return Send(buffer.AsSpan(offset, size), socketFlags, out errorCode);
    }

    public int Send(ReadOnlySpan<byte> buffer) => Send(buffer, SocketFlags.None);

    public int Send(ReadOnlySpan<byte> buffer, SocketFlags socketFlags)
    {
        long bytes = SendAndWait(buffer, socketFlags, out SocketError error, out int nativeError);

        return Waited(bytes, error, nativeError);
    }

    public int Send(ReadOnlySpan<byte> buffer, SocketFlags socketFlags, out SocketError errorCode)
    {
        try
        {
            return (int)SendAndWait(buffer, socketFlags, out errorCode, out _);
        }
        catch (SocketException exception)
        {
            errorCode = exception.SocketErrorCode;
            return 0;
        }
    }

    private long SendAndWait(ReadOnlySpan<byte> buffer, SocketFlags flags, out SocketError error, out int nativeError)
    {
        ValueOperation operation = ToWaitFor(flags, _sendTimeout);

        fixed (byte* memory = buffer)
        {
            operation.Record.SetPointer(memory, buffer.Length);
            return operation.Wait(StartSend(operation.Record.Args), out error, out nativeError, out _, out _);
        }
    }

    public int Send(IList<ArraySegment<byte>> buffers) => Send(buffers, SocketFlags.None);

    public int Send(IList<ArraySegment<byte>> buffers, SocketFlags socketFlags)
    {
        int bytes = Send(buffers, socketFlags, out SocketError error);

        return error == SocketError.Success ? bytes : throw new SluiceSocketException(error, 0, bytes);
    }

    public int Send(IList<ArraySegment<byte>> buffers, SocketFlags socketFlags, out SocketError errorCode)
    {
        CheckList(buffers);
        try
        {
            ValueOperation operation = ToWaitFor(socketFlags, _sendTimeout);

            operation.Record.SetList(buffers);
            return (int)operation.Wait(StartSend(operation.Record.Args), out errorCode, out _, out _, out _);
        }
        catch (SocketException exception)
        {
            errorCode = exception.SocketErrorCode;
            return 0;
        }
    }

    public int SendTo(byte[] buffer, EndPoint remoteEP) =>
        SendTo(buffer, 0, buffer?.Length ?? 0, SocketFlags.None, remoteEP);

    public int SendTo(byte[] buffer, SocketFlags socketFlags, EndPoint remoteEP) =>
        SendTo(buffer, 0, buffer?.Length ?? 0, socketFlags, remoteEP);

    public int SendTo(byte[] buffer, int size, SocketFlags socketFlags, EndPoint remoteEP) =>
        SendTo(buffer, 0, size, socketFlags, remoteEP);

    public int SendTo(byte[] buffer, int offset, int size, SocketFlags socketFlags, EndPoint remoteEP)
    {
        CheckBuffer(buffer, offset, size);
        return SendTo(buffer.AsSpan(offset, size), socketFlags, remoteEP);
    }

    public int SendTo(ReadOnlySpan<byte> buffer, EndPoint remoteEP) => SendTo(buffer, SocketFlags.None, remoteEP);

    public int SendTo(ReadOnlySpan<byte> buffer, SocketFlags socketFlags, EndPoint remoteEP)
    {
        ArgumentNullException.ThrowIfNull(remoteEP);

        ValueOperation operation = ToWaitFor(socketFlags, _sendTimeout);

        fixed (byte* memory = buffer)
        {
            operation.Record.SetPointer(memory, buffer.Length);
            SetRemote(operation.Record, remoteEP);

            long bytes = operation.Wait(StartSendTo(operation.Record.Args), out SocketError error, out int nativeError,
                out _, out _);

            return Waited(bytes, error, nativeError);
        }
    }

    /// <summary>.NET's checks, with its names of parameters.</summary>
    private static void CheckBuffer(byte[] buffer, int offset, int size)
    {
        ArgumentNullException.ThrowIfNull(buffer);
        if ((uint)offset > (uint)buffer.Length)
            throw new ArgumentOutOfRangeException(nameof(offset));
        if ((uint)size > (uint)(buffer.Length - offset))
            throw new ArgumentOutOfRangeException(nameof(size));
    }
}
