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
    private SluiceAsyncResult Result(SocketAsyncOperation operation, AsyncCallback? callback, object? state,
        SocketFlags flags, out Record record)
    {
        ThrowIfDisposed();

        var result = new SluiceAsyncResult(this, operation, callback, state);

        record = result.Rent();
        record.Args->Flags = (uint)flags;
        record.Args->TimeoutNanoseconds = NoTimeout;
        return result;
    }

    // ---- send ----

    public IAsyncResult BeginSend(byte[] buffer, int offset, int size, SocketFlags socketFlags,
        AsyncCallback? callback, object? state) =>
        BeginSend(buffer, offset, size, socketFlags, callback, state, out _, throws: true)!;

    /// <summary>What fails at once is told in errorCode: then there is no result, and the callback does not run.</summary>
    public IAsyncResult? BeginSend(byte[] buffer, int offset, int size, SocketFlags socketFlags,
        out SocketError errorCode, AsyncCallback? callback, object? state) =>
        BeginSend(buffer, offset, size, socketFlags, callback, state, out errorCode, throws: false);

    private SluiceAsyncResult? BeginSend(byte[] buffer, int offset, int size, SocketFlags flags,
        AsyncCallback? callback, object? state, out SocketError error, bool throws)
    {
        ThrowIfDisposed();
        CheckBuffer(buffer, offset, size);

        SluiceAsyncResult result = Result(SocketAsyncOperation.Send, callback, state, flags, out Record record);

        record.SetBuffer(buffer.AsMemory(offset, size));
        return result.Started(StartSend(record.Args), out error, throws);
    }

    public IAsyncResult BeginSend(IList<ArraySegment<byte>> buffers, SocketFlags socketFlags,
        AsyncCallback? callback, object? state) =>
        BeginSend(buffers, socketFlags, callback, state, out _, throws: true)!;

    public IAsyncResult? BeginSend(IList<ArraySegment<byte>> buffers, SocketFlags socketFlags,
        out SocketError errorCode, AsyncCallback? callback, object? state) =>
        BeginSend(buffers, socketFlags, callback, state, out errorCode, throws: false);

    private SluiceAsyncResult? BeginSend(IList<ArraySegment<byte>> buffers, SocketFlags flags, AsyncCallback? callback,
        object? state, out SocketError error, bool throws)
    {
        ThrowIfDisposed();
        CheckList(buffers);

        SluiceAsyncResult result = Result(SocketAsyncOperation.Send, callback, state, flags, out Record record);

        record.SetList(buffers);
        return result.Started(StartSend(record.Args), out error, throws);
    }

    /// <summary>Waits until the kernel has taken every byte, and returns how many.</summary>
    public int EndSend(IAsyncResult asyncResult) =>
        (int)SluiceAsyncResult.End(this, asyncResult, SocketAsyncOperation.Send).ThrowIfFailed().BytesTransferred;

    /// <summary>The same; how it failed is told in errorCode, and the bytes that went are returned.</summary>
    public int EndSend(IAsyncResult asyncResult, out SocketError errorCode)
    {
        SluiceAsyncResult result = SluiceAsyncResult.End(this, asyncResult, SocketAsyncOperation.Send);

        errorCode = result.SocketError;
        return (int)result.BytesTransferred;
    }

    public IAsyncResult BeginSendTo(byte[] buffer, int offset, int size, SocketFlags socketFlags, EndPoint remoteEP,
        AsyncCallback? callback, object? state)
    {
        ThrowIfDisposed();
        CheckBuffer(buffer, offset, size);
        ArgumentNullException.ThrowIfNull(remoteEP);

        SluiceAsyncResult result = Result(SocketAsyncOperation.SendTo, callback, state, socketFlags, out Record record);

        try
        {
            record.SetBuffer(buffer.AsMemory(offset, size));
            SetRemote(record, remoteEP);
        }
        catch
        {
            result.Drop();
            throw;
        }
        return result.Started(StartSendTo(record.Args), out _, throws: true)!;
    }

    public int EndSendTo(IAsyncResult asyncResult) =>
        (int)SluiceAsyncResult.End(this, asyncResult, SocketAsyncOperation.SendTo).ThrowIfFailed().BytesTransferred;

    // ---- receive ----

    public IAsyncResult BeginReceive(byte[] buffer, int offset, int size, SocketFlags socketFlags,
        AsyncCallback? callback, object? state) =>
        BeginReceive(buffer, offset, size, socketFlags, callback, state, out _, throws: true)!;

    public IAsyncResult? BeginReceive(byte[] buffer, int offset, int size, SocketFlags socketFlags,
        out SocketError errorCode, AsyncCallback? callback, object? state) =>
        BeginReceive(buffer, offset, size, socketFlags, callback, state, out errorCode, throws: false);

    private SluiceAsyncResult? BeginReceive(byte[] buffer, int offset, int size, SocketFlags flags,
        AsyncCallback? callback, object? state, out SocketError error, bool throws)
    {
        ThrowIfDisposed();
        CheckBuffer(buffer, offset, size);

        SluiceAsyncResult result = Result(SocketAsyncOperation.Receive, callback, state, flags, out Record record);

        record.SetBuffer(buffer.AsMemory(offset, size));
        return result.Started(StartReceive(record.Args), out error, throws);
    }

    public IAsyncResult BeginReceive(IList<ArraySegment<byte>> buffers, SocketFlags socketFlags,
        AsyncCallback? callback, object? state) =>
        BeginReceive(buffers, socketFlags, callback, state, out _, throws: true)!;

    public IAsyncResult? BeginReceive(IList<ArraySegment<byte>> buffers, SocketFlags socketFlags,
        out SocketError errorCode, AsyncCallback? callback, object? state) =>
        BeginReceive(buffers, socketFlags, callback, state, out errorCode, throws: false);

    private SluiceAsyncResult? BeginReceive(IList<ArraySegment<byte>> buffers, SocketFlags flags,
        AsyncCallback? callback, object? state, out SocketError error, bool throws)
    {
        ThrowIfDisposed();
        CheckList(buffers);

        SluiceAsyncResult result = Result(SocketAsyncOperation.Receive, callback, state, flags, out Record record);

        record.SetList(buffers);
        return result.Started(StartReceive(record.Args), out error, throws);
    }

    public int EndReceive(IAsyncResult asyncResult) =>
        (int)SluiceAsyncResult.End(this, asyncResult, SocketAsyncOperation.Receive).ThrowIfFailed().BytesTransferred;

    public int EndReceive(IAsyncResult asyncResult, out SocketError errorCode)
    {
        SluiceAsyncResult result = SluiceAsyncResult.End(this, asyncResult, SocketAsyncOperation.Receive);

        errorCode = result.SocketError;
        return (int)result.BytesTransferred;
    }

    public IAsyncResult BeginReceiveFrom(byte[] buffer, int offset, int size, SocketFlags socketFlags,
        ref EndPoint remoteEP, AsyncCallback? callback, object? state)
    {
        ThrowIfDisposed();
        CheckBuffer(buffer, offset, size);
        CheckFrom(remoteEP, nameof(remoteEP));

        SluiceAsyncResult result =
            Result(SocketAsyncOperation.ReceiveFrom, callback, state, socketFlags, out Record record);

        result.RemoteEndPoint = remoteEP;
        record.SetBuffer(buffer.AsMemory(offset, size));
        record.WantFrom();
        return result.Started(StartReceiveFrom(record.Args), out _, throws: true)!;
    }

    public int EndReceiveFrom(IAsyncResult asyncResult, ref EndPoint endPoint)
    {
        SluiceAsyncResult result = SluiceAsyncResult.End(this, asyncResult, SocketAsyncOperation.ReceiveFrom);

        endPoint = result.RemoteEndPoint!;
        return (int)result.ThrowIfFailed().BytesTransferred;
    }

    // ---- accept, connect, disconnect ----

    public IAsyncResult BeginAccept(AsyncCallback? callback, object? state)
    {
        SluiceAsyncResult result =
            Result(SocketAsyncOperation.Accept, callback, state, SocketFlags.None, out Record record);
        int answer = StartAccept(record.Args);

        if (answer == -Errno.EINVAL)
        {
            result.Drop();
            throw NotListening();
        }
        return result.Started(answer, out _, throws: true)!;
    }

    public Socket EndAccept(IAsyncResult asyncResult) =>
        SluiceAsyncResult.End(this, asyncResult, SocketAsyncOperation.Accept).ThrowIfFailed().Accepted!;

    public IAsyncResult BeginConnect(EndPoint remoteEP, AsyncCallback? callback, object? state)
    {
        ThrowIfDisposed();
        ArgumentNullException.ThrowIfNull(remoteEP);
        if (remoteEP is DnsEndPoint name)
            return BeginConnect(name.Host, name.Port, callback, state);
        CheckFamily(remoteEP);

        SluiceAsyncResult result =
            Result(SocketAsyncOperation.Connect, callback, state, SocketFlags.None, out Record record);

        result.RemoteEndPoint = remoteEP;
        SetRemote(record, remoteEP);
        return result.Started(StartConnect(record.Args), out _, throws: true)!;
    }

    public IAsyncResult BeginConnect(IPAddress address, int port, AsyncCallback? requestCallback, object? state) =>
        BeginConnect(new IPEndPoint(address, port), requestCallback, state);

    public IAsyncResult BeginConnect(string host, int port, AsyncCallback? requestCallback, object? state)
    {
        ArgumentNullException.ThrowIfNull(host);
        return BeginByName(token => ConnectAsync(host, port, token), requestCallback, state);
    }

    public IAsyncResult BeginConnect(IPAddress[] addresses, int port, AsyncCallback? requestCallback, object? state) =>
        BeginByName(token => ConnectAsync(addresses, port, token), requestCallback, state);

    private SluiceAsyncResult BeginByName(Func<CancellationToken, ValueTask> connect, AsyncCallback? callback,
        object? state)
    {
        var cancellation = new CancellationTokenSource();
        var result = new SluiceAsyncResult(this, SocketAsyncOperation.Connect, callback, state, cancellation);

        connect(cancellation.Token).AsTask().ContinueWith(static (task, state) =>
        {
            var failure = task.Exception?.InnerException as SocketException;
            SocketError error = task.IsCompletedSuccessfully ? SocketError.Success
                : task.IsCanceled ? SocketError.OperationAborted
                : failure?.SocketErrorCode ?? SocketError.SocketError;

            ((SluiceAsyncResult)state!).EndedElsewhere(error,
                task.IsCanceled ? Errno.ECANCELED : failure?.ErrorCode ?? 0);
        }, result, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        return result;
    }

    public void EndConnect(IAsyncResult asyncResult) =>
        SluiceAsyncResult.End(this, asyncResult, SocketAsyncOperation.Connect).ThrowIfFailed();

    public IAsyncResult BeginDisconnect(bool reuseSocket, AsyncCallback? callback, object? state)
    {
        SluiceAsyncResult result =
            Result(SocketAsyncOperation.Disconnect, callback, state, SocketFlags.None, out Record record);

        return result.Started(StartDisconnect(record.Args, reuseSocket), out _, throws: true)!;
    }

    public void EndDisconnect(IAsyncResult asyncResult) =>
        SluiceAsyncResult.End(this, asyncResult, SocketAsyncOperation.Disconnect).ThrowIfFailed();
}
