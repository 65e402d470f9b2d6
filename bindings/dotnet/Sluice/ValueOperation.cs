// SPDX-License-Identifier: MIT
using System;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using System.Threading.Tasks.Sources;

namespace Sluice;

/// <summary>
/// An operation that is awaited, or waited for. Used again as soon as its result was taken, so that in the
/// steady state nothing is allocated.
/// </summary>
internal sealed class ValueOperation : IRecordOwner, IValueTaskSource<int>, IValueTaskSource<long>,
    IValueTaskSource<Socket>, IValueTaskSource<SocketReceiveFromResult>, IValueTaskSource
{
    private static readonly Pool<ValueOperation> s_pool = new();

    public readonly Record Record = Record.Rent();
    private ManualResetValueTaskSourceCore<long> _core;
    private Socket? _socket;
    private Socket? _accepted;
    private EndPoint? _from;
    private CancellationToken _token;
    private CancellationTokenRegistration _registration;
    private SocketError _error;
    private int _nativeError;
    private long _bytes;
    private bool _isBlocking;
    private bool _isOver;

    /// <summary>One for the socket: the one that it used last, if it is free.</summary>
    public static ValueOperation Rent(Socket socket)
    {
        ValueOperation operation = Interlocked.Exchange(ref socket.LastOperation, null) ?? s_pool.Take() ??
                                   new ValueOperation();

        operation._socket = socket;
        operation.Record.Owner = operation;
        return operation;
    }

    private void Return()
    {
        Socket socket = _socket!;

        Record.ReleaseMemory();
        _core.Reset();
        _accepted = null;
        _from = null;
        _token = default;
        _socket = null;
        _isBlocking = false;
        _isOver = false;
        Record.Owner = null;
        if (socket.IsDisposed || Interlocked.CompareExchange(ref socket.LastOperation, this, null) != null)
            s_pool.Give(this);
    }

    /* One that went with its socket. */
    ~ValueOperation() => Record.Return();

    /// <summary>The socket goes: what it kept is for others.</summary>
    public static void Give(ValueOperation? operation)
    {
        if (operation != null)
            s_pool.Give(operation);
    }

    /// <summary>A receive_from: what becomes of the sender's address.</summary>
    public void WantFrom(EndPoint template)
    {
        _from = template;
        Record.WantFrom();
    }

    // ---- the end ----

    private void Take()
    {
        Record record = Record;

        _error = record.Error;
        _nativeError = record.NativeError;
        _bytes = record.Bytes;
        _socket!.Learn(_error);
        if (_from != null && _error == SocketError.Success)
            _from = Address.Read(record.From, _from);
        unsafe
        {
            if (record.Args->AcceptSocket != 0)
            {
                _accepted = _socket.Accepted(record.Args->AcceptSocket);
                record.Args->AcceptSocket = 0;
            }
        }
    }

    void IRecordOwner.Ended(Record record)
    {
        Take();
        if (_isBlocking)
        {
            lock (this)
            {
                _isOver = true;
                Monitor.Pulse(this);
            }
            return;
        }
        _socket!.Continue(this);
    }

    void IRecordOwner.Continue()
    {
        if (_error == SocketError.Success)
            _core.SetResult(_bytes);
        else
            _core.SetException(Exception());
    }

    private Exception Exception()
    {
        if (_error == SocketError.OperationAborted && _token.IsCancellationRequested)
            return new OperationCanceledException(_token);
        return new SluiceSocketException(_error, _nativeError, _bytes);
    }

    // ---- the start ----

    /// <summary>Nothing was started.</summary>
    public void Abandon() => Return();

    /// <summary>What the starting call has answered: 1, 0 or a refusal, which is thrown.</summary>
    private bool Started(int answer, CancellationToken token)
    {
        if (answer < 0)
        {
            Return();
            throw Refusal.Of(answer);
        }
        if (answer == 0)
        {
            Take();
            return false;
        }
        if (token.CanBeCanceled)
        {
            _token = token;
            _registration = token.UnsafeRegister(static state => ((ValueOperation)state!).Cancel(), this);
        }
        return true;
    }

    private void Cancel() => _socket?.Cancel(Record);

    public ValueTask<int> ToInt32(int answer, CancellationToken token)
    {
        if (Started(answer, token))
            return new ValueTask<int>(this, _core.Version);
        if (_error != SocketError.Success)
            return ValueTask.FromException<int>(EndFailed());
        return new ValueTask<int>((int)EndWell());
    }

    public ValueTask<long> ToInt64(int answer, CancellationToken token)
    {
        if (Started(answer, token))
            return new ValueTask<long>(this, _core.Version);
        if (_error != SocketError.Success)
            return ValueTask.FromException<long>(EndFailed());
        return new ValueTask<long>(EndWell());
    }

    public ValueTask ToVoid(int answer, CancellationToken token)
    {
        if (Started(answer, token))
            return new ValueTask(this, _core.Version);
        if (_error != SocketError.Success)
            return ValueTask.FromException(EndFailed());
        EndWell();
        return default;
    }

    public ValueTask<Socket> ToSocket(int answer, CancellationToken token)
    {
        if (Started(answer, token))
            return new ValueTask<Socket>(this, _core.Version);
        if (_error != SocketError.Success)
            return ValueTask.FromException<Socket>(EndFailed());

        Socket accepted = _accepted!;

        EndWell();
        return new ValueTask<Socket>(accepted);
    }

    public ValueTask<SocketReceiveFromResult> ToReceiveFrom(int answer, CancellationToken token)
    {
        if (Started(answer, token))
            return new ValueTask<SocketReceiveFromResult>(this, _core.Version);
        if (_error != SocketError.Success)
            return ValueTask.FromException<SocketReceiveFromResult>(EndFailed());

        var result = new SocketReceiveFromResult { ReceivedBytes = (int)_bytes, RemoteEndPoint = _from! };

        EndWell();
        return new ValueTask<SocketReceiveFromResult>(result);
    }

    private long EndWell()
    {
        long bytes = _bytes;

        Return();
        return bytes;
    }

    private Exception EndFailed()
    {
        Exception exception = Exception();

        Return();
        return exception;
    }

    // ---- to be waited for ----

    /// <summary>To be called before the start: the end wakes the thread that waits.</summary>
    public void Block() => _isBlocking = true;

    /// <summary>Waits for the end; the bytes, and how it ended.</summary>
    public long Wait(int answer, out SocketError error, out int nativeError, out Socket? accepted, out EndPoint? from)
    {
        if (answer < 0)
        {
            Return();
            throw Refusal.Of(answer);
        }
        if (answer == 0)
        {
            Take();
        }
        else
        {
            lock (this)
            {
                while (!_isOver)
                    Monitor.Wait(this);
            }
        }
        error = _error;
        nativeError = _nativeError;
        accepted = _accepted;
        from = _from;
        return EndWell();
    }

    // ---- awaited ----

    private long Result(short token)
    {
        /* Throws if the result was taken before: the operation is another's now. */
        _core.GetStatus(token);
        try
        {
            return _core.GetResult(token);
        }
        finally
        {
            Finish();
        }
    }

    /* A cancel that runs just now finds the record still this operation's. */
    private void Finish()
    {
        _registration.Dispose();
        _registration = default;
        Return();
    }

    int IValueTaskSource<int>.GetResult(short token) => (int)Result(token);

    long IValueTaskSource<long>.GetResult(short token) => Result(token);

    void IValueTaskSource.GetResult(short token) => Result(token);

    Socket IValueTaskSource<Socket>.GetResult(short token)
    {
        Socket? accepted = _accepted;

        Result(token);
        return accepted!;
    }

    SocketReceiveFromResult IValueTaskSource<SocketReceiveFromResult>.GetResult(short token)
    {
        EndPoint? from = _from;

        return new SocketReceiveFromResult { ReceivedBytes = (int)Result(token), RemoteEndPoint = from! };
    }

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => _core.GetStatus(token);
    ValueTaskSourceStatus IValueTaskSource<long>.GetStatus(short token) => _core.GetStatus(token);
    ValueTaskSourceStatus IValueTaskSource<Socket>.GetStatus(short token) => _core.GetStatus(token);
    ValueTaskSourceStatus IValueTaskSource<SocketReceiveFromResult>.GetStatus(short token) => _core.GetStatus(token);
    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<int>.OnCompleted(Action<object?> continuation, object? state, short token,
        ValueTaskSourceOnCompletedFlags flags) => _core.OnCompleted(continuation, state, token, flags);

    void IValueTaskSource<long>.OnCompleted(Action<object?> continuation, object? state, short token,
        ValueTaskSourceOnCompletedFlags flags) => _core.OnCompleted(continuation, state, token, flags);

    void IValueTaskSource<Socket>.OnCompleted(Action<object?> continuation, object? state, short token,
        ValueTaskSourceOnCompletedFlags flags) => _core.OnCompleted(continuation, state, token, flags);

    void IValueTaskSource<SocketReceiveFromResult>.OnCompleted(Action<object?> continuation, object? state,
        short token, ValueTaskSourceOnCompletedFlags flags) => _core.OnCompleted(continuation, state, token, flags);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token,
        ValueTaskSourceOnCompletedFlags flags) => _core.OnCompleted(continuation, state, token, flags);
}
