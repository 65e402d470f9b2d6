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
    private int StartReceive(NativeArgs* args)
    {
        if (!_handle.Enter())
            return -Errno.EBADF;
        int answer = Native.ReceiveAsync(_handle.Native, args);

        _handle.Exit();
        return answer;
    }

    private int StartReceiveFrom(NativeArgs* args)
    {
        if (!_handle.Enter())
            return -Errno.EBADF;
        int answer = Native.ReceiveFromAsync(_handle.Native, args);

        _handle.Exit();
        return answer;
    }

    // ---- SocketAsyncEventArgs ----

    public bool ReceiveAsync(SocketAsyncEventArgs e)
    {
        Begin(e, SocketAsyncOperation.Receive);
        try
        {
            e.PrepareMemory();
        }
        catch
        {
            e.Abandon();
            throw;
        }
        return Answer(e, StartReceive(e.Record.Args));
    }

    public bool ReceiveFromAsync(SocketAsyncEventArgs e)
    {
        Begin(e, SocketAsyncOperation.ReceiveFrom);
        try
        {
            CheckFrom(e.RemoteEndPoint, nameof(e));
            e.PrepareMemory();
            e.PrepareFrom();
        }
        catch
        {
            e.Abandon();
            throw;
        }
        return Answer(e, StartReceiveFrom(e.Record.Args));
    }

    private void CheckFrom(EndPoint? remoteEP, string parameter)
    {
        if (remoteEP == null)
            throw new ArgumentException("RemoteEndPoint is not set.", parameter);
        if (remoteEP.AddressFamily != AddressFamily &&
            !(remoteEP.AddressFamily == AddressFamily.InterNetwork && AddressFamily == AddressFamily.InterNetworkV6))
            throw new ArgumentException("The end point is of another address family.", parameter);
    }

    // ---- awaited ----

    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        ReceiveCore(buffer, SocketFlags.None, NoTimeout, cancellationToken);

    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, SocketFlags socketFlags,
        CancellationToken cancellationToken = default) =>
        ReceiveCore(buffer, socketFlags, NoTimeout, cancellationToken);

    /// <summary>As ReceiveAsync; it fails with TimedOut when the time is over.</summary>
    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, TimeSpan timeout,
        CancellationToken cancellationToken = default) =>
        ReceiveCore(buffer, SocketFlags.None, TimeoutOf(timeout), cancellationToken);

    private ValueTask<int> ReceiveCore(Memory<byte> buffer, SocketFlags flags, long timeout,
        CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled<int>(cancellationToken);

        ValueOperation operation = Operation(flags, timeout);

        operation.Record.SetBuffer(buffer);
        return operation.ToInt32(StartReceive(operation.Record.Args), cancellationToken);
    }

    public Task<int> ReceiveAsync(ArraySegment<byte> buffer) => ReceiveAsync(buffer, SocketFlags.None);

    public Task<int> ReceiveAsync(ArraySegment<byte> buffer, SocketFlags socketFlags)
    {
        ArgumentNullException.ThrowIfNull(buffer.Array, nameof(buffer));
        return ReceiveCore(buffer, socketFlags, NoTimeout, default).AsTask();
    }

    public Task<int> ReceiveAsync(IList<ArraySegment<byte>> buffers) => ReceiveAsync(buffers, SocketFlags.None);

    public Task<int> ReceiveAsync(IList<ArraySegment<byte>> buffers, SocketFlags socketFlags)
    {
        CheckList(buffers);

        ValueOperation operation = Operation(socketFlags, NoTimeout);

        operation.Record.SetList(buffers);
        return operation.ToInt32(StartReceive(operation.Record.Args), default).AsTask();
    }

    public Task<SocketReceiveFromResult> ReceiveFromAsync(ArraySegment<byte> buffer, EndPoint remoteEndPoint) =>
        ReceiveFromAsync(buffer, SocketFlags.None, remoteEndPoint);

    public Task<SocketReceiveFromResult> ReceiveFromAsync(ArraySegment<byte> buffer, SocketFlags socketFlags,
        EndPoint remoteEndPoint) => ReceiveFromAsync((Memory<byte>)buffer, socketFlags, remoteEndPoint).AsTask();

    public ValueTask<SocketReceiveFromResult> ReceiveFromAsync(Memory<byte> buffer, EndPoint remoteEndPoint,
        CancellationToken cancellationToken = default) =>
        ReceiveFromAsync(buffer, SocketFlags.None, remoteEndPoint, cancellationToken);

    public ValueTask<SocketReceiveFromResult> ReceiveFromAsync(Memory<byte> buffer, SocketFlags socketFlags,
        EndPoint remoteEndPoint, CancellationToken cancellationToken = default)
    {
        CheckFrom(remoteEndPoint, nameof(remoteEndPoint));
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled<SocketReceiveFromResult>(cancellationToken);

        ValueOperation operation = Operation(socketFlags, NoTimeout);

        operation.Record.SetBuffer(buffer);
        operation.WantFrom(remoteEndPoint);
        return operation.ToReceiveFrom(StartReceiveFrom(operation.Record.Args), cancellationToken);
    }

    // ---- waited for ----

    public int Receive(byte[] buffer) => Receive(buffer, 0, buffer?.Length ?? 0, SocketFlags.None);

    public int Receive(byte[] buffer, SocketFlags socketFlags) =>
        Receive(buffer, 0, buffer?.Length ?? 0, socketFlags);

    public int Receive(byte[] buffer, int size, SocketFlags socketFlags) => Receive(buffer, 0, size, socketFlags);

    public int Receive(byte[] buffer, int offset, int size, SocketFlags socketFlags)
    {
        CheckBuffer(buffer, offset, size);
        return Receive(buffer.AsSpan(offset, size), socketFlags);
    }

    public int Receive(byte[] buffer, int offset, int size, SocketFlags socketFlags, out SocketError errorCode)
    {
        CheckBuffer(buffer, offset, size);
        return Receive(buffer.AsSpan(offset, size), socketFlags, out errorCode);
    }

    public int Receive(Span<byte> buffer) => Receive(buffer, SocketFlags.None);

    public int Receive(Span<byte> buffer, SocketFlags socketFlags)
    {
        long bytes = ReceiveAndWait(buffer, socketFlags, out SocketError error, out int nativeError);

        return Waited(bytes, error, nativeError);
    }

    public int Receive(Span<byte> buffer, SocketFlags socketFlags, out SocketError errorCode)
    {
        try
        {
            return (int)ReceiveAndWait(buffer, socketFlags, out errorCode, out _);
        }
        catch (SocketException exception)
        {
            errorCode = exception.SocketErrorCode;
            return 0;
        }
    }

    private long ReceiveAndWait(Span<byte> buffer, SocketFlags flags, out SocketError error, out int nativeError)
    {
        ValueOperation operation = ToWaitFor(flags, _receiveTimeout);

        fixed (byte* memory = buffer)
        {
            operation.Record.SetPointer(memory, buffer.Length);
            return operation.Wait(StartReceive(operation.Record.Args), out error, out nativeError, out _, out _);
        }
    }

    public int Receive(IList<ArraySegment<byte>> buffers) => Receive(buffers, SocketFlags.None);

    public int Receive(IList<ArraySegment<byte>> buffers, SocketFlags socketFlags)
    {
        CheckList(buffers);

        ValueOperation operation = ToWaitFor(socketFlags, _receiveTimeout);

        operation.Record.SetList(buffers);

        long bytes = operation.Wait(StartReceive(operation.Record.Args), out SocketError error, out int nativeError,
            out _, out _);

        return Waited(bytes, error, nativeError);
    }

    public int ReceiveFrom(byte[] buffer, ref EndPoint remoteEP) =>
        ReceiveFrom(buffer, 0, buffer?.Length ?? 0, SocketFlags.None, ref remoteEP);

    public int ReceiveFrom(byte[] buffer, SocketFlags socketFlags, ref EndPoint remoteEP) =>
        ReceiveFrom(buffer, 0, buffer?.Length ?? 0, socketFlags, ref remoteEP);

    public int ReceiveFrom(byte[] buffer, int size, SocketFlags socketFlags, ref EndPoint remoteEP) =>
        ReceiveFrom(buffer, 0, size, socketFlags, ref remoteEP);

    public int ReceiveFrom(byte[] buffer, int offset, int size, SocketFlags socketFlags, ref EndPoint remoteEP)
    {
        CheckBuffer(buffer, offset, size);
        return ReceiveFrom(buffer.AsSpan(offset, size), socketFlags, ref remoteEP);
    }

    public int ReceiveFrom(Span<byte> buffer, ref EndPoint remoteEP) =>
        ReceiveFrom(buffer, SocketFlags.None, ref remoteEP);

    public int ReceiveFrom(Span<byte> buffer, SocketFlags socketFlags, ref EndPoint remoteEP)
    {
        CheckFrom(remoteEP, nameof(remoteEP));

        ValueOperation operation = ToWaitFor(socketFlags, _receiveTimeout);

        fixed (byte* memory = buffer)
        {
            operation.Record.SetPointer(memory, buffer.Length);
            operation.WantFrom(remoteEP);

            long bytes = operation.Wait(StartReceiveFrom(operation.Record.Args), out SocketError error,
                out int nativeError, out _, out EndPoint? from);

            remoteEP = from!;
            return Waited(bytes, error, nativeError);
        }
    }
}
