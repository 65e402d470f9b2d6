// SPDX-License-Identifier: MIT
using System;
using System.Net;
using System.Net.Sockets;
using System.Threading;

namespace Sluice;

/// <summary>
/// What a Begin returns. An End takes its own, once: another socket's, another operation's and a second
/// End are refused. The callback runs on the thread pool, never inside Begin. It is the one object that a Begin
/// allocates: the caller may keep it after End, so it cannot be used again.
/// </summary>
public sealed class SluiceAsyncResult : IAsyncResult, IRecordOwner
{
    private readonly AsyncCallback? _callback;
    private readonly ExecutionContext? _context;
    private readonly CancellationTokenSource? _cancellation; /* of an operation without a record */
    private Record? _record;                                  /* changes under the lock of this once it has started */
    private ManualResetEvent? _event;
    private volatile bool _isOver;
    private int _isEnded;

    internal SluiceAsyncResult(Socket socket, SocketAsyncOperation operation, AsyncCallback? callback, object? state,
        CancellationTokenSource? cancellation = null)
    {
        Socket = socket;
        Operation = operation;
        AsyncState = state;
        _cancellation = cancellation;
        if (callback == null)
            return;
        _callback = callback;
        _context = ExecutionContext.Capture();
    }

    internal Socket Socket { get; }

    internal SocketAsyncOperation Operation { get; }

    internal EndPoint? RemoteEndPoint { get; set; }

    internal Socket? Accepted { get; private set; }

    /// <summary>How the operation ended; IOPending before.</summary>
    public SocketError SocketError { get; private set; } = SocketError.IOPending;

    /// <summary>The errno as the kernel gave it; 0 with success.</summary>
    public int NativeError { get; private set; }

    /// <summary>Bytes that the operation moved, also if it failed.</summary>
    public long BytesTransferred { get; private set; }

    public object? AsyncState { get; }

    public bool IsCompleted => _isOver;

    /// <summary>Whether the operation was over when Begin returned.</summary>
    public bool CompletedSynchronously { get; private set; }

    public WaitHandle AsyncWaitHandle
    {
        get
        {
            lock (this)
                return _event ??= new ManualResetEvent(_isOver);
        }
    }

    // ---- Begin ----

    internal Record Rent()
    {
        _record = Record.Rent();
        _record.Owner = this;
        return _record;
    }

    /// <summary>
    /// What the starting call has answered. What failed at once is thrown, or told in the error if Begin has
    /// one: then the callback does not run.
    /// </summary>
    internal SluiceAsyncResult? Started(int answer, out SocketError error, bool throws)
    {
        error = SocketError.Success;
        if (answer > 0)
            return this;
        if (answer < 0)
            return Refused(answer, out error, throws);
        Take();
        if (SocketError != SocketError.Success)
        {
            error = SocketError;
            return throws ? throw Exception() : null;
        }
        CompletedSynchronously = true;
        IsOver();
        if (_callback != null)
            Socket.ContinueOnPool(this);
        return this;
    }

    private SluiceAsyncResult? Refused(int answer, out SocketError error, bool throws)
    {
        Exception exception = Refusal.Of(answer);

        Drop();
        error = exception is SocketException known ? known.SocketErrorCode : SocketError.SocketError;
        if (throws || exception is not SocketException)
            throw exception;
        return null;
    }

    /// <summary>Nothing was started, or it has ended. A cancel that runs just now still finds the record ours.</summary>
    internal void Drop()
    {
        lock (this)
        {
            _record!.Return();
            _record = null;
        }
    }

    /// <summary>
    /// Cancels the operation. It ends with OperationAborted and the bytes that the kernel has taken, its callback
    /// runs, and it must be ended as any other. Any thread.
    /// </summary>
    /// <returns>True: it will end, perhaps with success. False: it has ended, or the socket is closed.</returns>
    public bool Cancel()
    {
        if (_cancellation != null)
        {
            bool isEarly = !_isOver;

            _cancellation.Cancel();
            return isEarly;
        }
        lock (this)
            return _record != null && Socket.Cancel(_record);
    }

    // ---- the end ----

    private unsafe void Take()
    {
        Record record = _record!;

        SocketError = record.Error;
        NativeError = record.NativeError;
        BytesTransferred = record.Bytes;
        Socket.Learn(SocketError);
        if (record.Args->AcceptSocket != 0)
        {
            Accepted = Socket.Accepted(record.Args->AcceptSocket);
            record.Args->AcceptSocket = 0;
        }
        if (Operation == SocketAsyncOperation.ReceiveFrom && SocketError is SocketError.Success or SocketError.MessageSize)
            RemoteEndPoint = Address.Read(record.From, RemoteEndPoint);
        Socket.Finished(Operation, SocketError, RemoteEndPoint);
        Drop();
    }

    private void IsOver()
    {
        lock (this)
        {
            _isOver = true;
            _event?.Set();
            Monitor.PulseAll(this);
        }
    }

    void IRecordOwner.Ended(Record record)
    {
        Take();
        IsOver();
        if (_callback != null)
            Socket.ContinueOnPool(this);
    }

    /// <summary>An operation that was carried out by others of this library, as a connect by name.</summary>
    internal void EndedElsewhere(SocketError error, int nativeError)
    {
        SocketError = error;
        NativeError = nativeError;
        IsOver();
        if (_callback != null)
            Socket.ContinueOnPool(this);
    }

    void IRecordOwner.Continue()
    {
        if (_context == null)
            _callback!(this);
        else
            ExecutionContext.Run(_context, static state => ((SluiceAsyncResult)state!).Call(), this);
    }

    private void Call() => _callback!(this);

    // ---- End ----

    /// <summary>Waits until the operation is over, and takes its result from the user.</summary>
    internal static SluiceAsyncResult End(Socket socket, IAsyncResult asyncResult, SocketAsyncOperation operation)
    {
        ArgumentNullException.ThrowIfNull(asyncResult);
        if (asyncResult is not SluiceAsyncResult result || result.Socket != socket || result.Operation != operation)
            throw new ArgumentException("The result is not of this operation of this socket.", nameof(asyncResult));
        if (!result._isOver && socket.Engine.IsCurrentThread)
            throw Refusal.Of(-Errno.EDEADLK);
        if (Interlocked.Exchange(ref result._isEnded, 1) != 0)
        {
            socket.ThrowIfDisposed();
            throw Refusal.Of(-Errno.EALREADY);
        }
        result.Wait();
        socket.ThrowIfDisposed();
        return result;
    }

    private void Wait()
    {
        if (_isOver)
            return;
        lock (this)
        {
            while (!_isOver)
                Monitor.Wait(this);
        }
    }

    internal SluiceSocketException Exception() => new(SocketError, NativeError, BytesTransferred);

    internal SluiceAsyncResult ThrowIfFailed() => SocketError == SocketError.Success ? this : throw Exception();
}
