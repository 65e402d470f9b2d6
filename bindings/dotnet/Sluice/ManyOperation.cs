// SPDX-License-Identifier: MIT
using System;
using System.Buffers;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using System.Threading.Tasks.Sources;

namespace Sluice;

/// <summary>One buffer on its way to many sockets, with one end for all of them.</summary>
internal sealed class ManyOperation : IRecordOwner, IValueTaskSource<int>
{
    private static readonly Pool<ManyOperation> s_pool = new();

    private ManualResetValueTaskSourceCore<int> _core;
    private Record[] _records = [];
    private Socket?[] _sockets = [];
    private int _count;
    private int _pending;
    private int _whole;
    private MemoryHandle _pin;

    public static unsafe ValueTask<int> Send(ReadOnlySpan<Socket> sockets, ReadOnlyMemory<byte> buffer,
        SocketFlags flags)
    {
        ManyOperation operation = s_pool.Take() ?? new ManyOperation();

        operation.Prepare(sockets, buffer, flags);

        SluiceEngine? engine = sockets.Length > 0 && sockets[0].Engine.IsCurrentThread ? sockets[0].Engine : null;

        engine?.BeginBatch();
        for (int i = 0; i < sockets.Length; i++)
            operation.Start(i);
        engine?.EndBatch();
        return operation.Started();
    }

    private unsafe void Prepare(ReadOnlySpan<Socket> sockets, ReadOnlyMemory<byte> buffer, SocketFlags flags)
    {
        if (_records.Length < sockets.Length)
        {
            int had = _records.Length;

            Array.Resize(ref _records, sockets.Length);
            Array.Resize(ref _sockets, sockets.Length);
            for (int i = had; i < sockets.Length; i++)
                _records[i] = Record.Rent();
        }
        sockets.CopyTo(_sockets!);
        _count = sockets.Length;
        _whole = 0;
        /* One more, until all are started. */
        _pending = sockets.Length + 1;
        _pin = buffer.Pin();
        for (int i = 0; i < sockets.Length; i++)
        {
            _records[i].Owner = this;
            _records[i].Tag = i;
            _records[i].Args->Flags = (uint)(flags | SluiceFlags.Batched);
            _records[i].Args->TimeoutNanoseconds = 0;
            _records[i].SetPointer((byte*)_pin.Pointer, buffer.Length);
        }
    }

    private unsafe void Start(int index)
    {
        int answer = _sockets[index]!.StartSend(_records[index].Args);

        if (answer == 0)
            Took(_records[index]);
        if (answer <= 0)
            Interlocked.Decrement(ref _pending);
    }

    private void Took(Record record)
    {
        if (record.Error == SocketError.Success)
            Interlocked.Increment(ref _whole);
        else
            _sockets[record.Tag]!.Learn(record.Error);
    }

    private ValueTask<int> Started()
    {
        if (Interlocked.Decrement(ref _pending) != 0)
            return new ValueTask<int>(this, _core.Version);

        int whole = _whole;

        Return();
        return new ValueTask<int>(whole);
    }

    void IRecordOwner.Ended(Record record)
    {
        Socket socket = _sockets[record.Tag]!;

        Took(record);
        if (Interlocked.Decrement(ref _pending) == 0)
            socket.Continue(this);
    }

    void IRecordOwner.Continue() => _core.SetResult(_whole);

    private void Return()
    {
        _pin.Dispose();
        Array.Clear(_sockets, 0, _count);
        for (int i = 0; i < _count; i++)
            _records[i].Owner = null;
        _core.Reset();
        s_pool.Give(this);
    }

    int IValueTaskSource<int>.GetResult(short token)
    {
        int whole = _core.GetResult(token);

        Return();
        return whole;
    }

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<int>.OnCompleted(Action<object?> continuation, object? state, short token,
        ValueTaskSourceOnCompletedFlags flags) => _core.OnCompleted(continuation, state, token, flags);
}
