// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Threading;

namespace Sluice;

/// <summary>As System.Net.Sockets.SocketAsyncEventArgs. docs/from-dotnet.md names what differs.</summary>
public class SocketAsyncEventArgs : EventArgs, IDisposable, IRecordOwner
{
    private const int Free = 0, InProgress = 1, Configuring = 2, Disposed = 3;

    private readonly Record _record = Record.Rent();
    private readonly bool _suppressFlow;
    private int _state;
    private bool _disposeCalled;
    private Memory<byte> _buffer;
    private bool _hasBuffer;
    private int _offset;
    private int _count;
    private bool _bufferIsSet; /* in the record */
    private IList<ArraySegment<byte>>? _bufferList;
    private ArraySegment<byte>[] _segments = [];
    private int _segmentCount;
    private bool _listIsSet; /* in the record */
    private SendPacketsElement?[]? _packets;
    private Socket? _socket;
    private ExecutionContext? _context;
    private EndPoint? _fromTemplate;
    private SocketError _refusedError;
    private long _refusedBytes;
    private SocketAsyncOperation _refusedOperation;

    public SocketAsyncEventArgs() : this(false)
    {
    }

    public SocketAsyncEventArgs(bool unsafeSuppressExecutionContext)
    {
        _suppressFlow = unsafeSuppressExecutionContext;
    }

    ~SocketAsyncEventArgs()
    {
        if (_state != Disposed)
            _record.Return();
    }

    /// <summary>Not while an operation is in progress: it takes effect at its end, before the handler.</summary>
    public void Dispose()
    {
        _disposeCalled = true;
        if (Interlocked.CompareExchange(ref _state, Disposed, Free) != Free)
            return;
        _record.Return();
        GC.SuppressFinalize(this);
    }

    public event EventHandler<SocketAsyncEventArgs>? Completed;

    protected virtual void OnCompleted(SocketAsyncEventArgs e) => Completed?.Invoke(e._socket, e);

    // ---- what the user sets ----

    public object? UserToken { get; set; }

    public SocketFlags SocketFlags { get; set; }

    public EndPoint? RemoteEndPoint { get; set; }

    public Socket? AcceptSocket { get; set; }

    public bool DisconnectReuseSocket { get; set; }

    public TransmitFileOptions SendPacketsFlags { get; set; }

    /// <summary>Means nothing on Linux.</summary>
    public int SendPacketsSendSize { get; set; }

    /// <summary>
    /// From the start of each operation on, after which it ends with TimedOut; Timeout.InfiniteTimeSpan,
    /// the default, is none.
    /// </summary>
    public TimeSpan Timeout { get; set; } = System.Threading.Timeout.InfiniteTimeSpan;

    public SendPacketsElement[]? SendPacketsElements
    {
        get => _packets!;
        set
        {
            BeginConfiguring();
            _packets = value;
            EndConfiguring();
        }
    }

    public byte[]? Buffer =>
        _hasBuffer && MemoryMarshal.TryGetArray((ReadOnlyMemory<byte>)_buffer, out ArraySegment<byte> segment)
            ? segment.Array
            : null;

    public Memory<byte> MemoryBuffer => _buffer;

    public int Offset => _offset;

    public int Count => _count;

    public IList<ArraySegment<byte>>? BufferList
    {
        get => _bufferList;
        set
        {
            BeginConfiguring();
            try
            {
                SetBufferList(value);
            }
            finally
            {
                EndConfiguring();
            }
        }
    }

    /* The segments are copied: what becomes of the list does not matter. */
    private void SetBufferList(IList<ArraySegment<byte>>? value)
    {
        if (value == null)
        {
            _bufferList = null;
            _segmentCount = 0;
            DropList();
            return;
        }
        if (_hasBuffer)
            throw new ArgumentException("Buffer and BufferList exclude each other.");
        if (value.Count == 0)
            throw new ArgumentException("The list has no segments.", nameof(BufferList));
        for (int i = 0; i < value.Count; i++)
            ArgumentNullException.ThrowIfNull(value[i].Array, "segment");
        if (_segments.Length < value.Count)
            _segments = new ArraySegment<byte>[value.Count];
        value.CopyTo(_segments, 0);
        _segmentCount = value.Count;
        _bufferList = value;
        DropList();
    }

    private void DropList()
    {
        if (_listIsSet)
            _record.ReleaseLists();
        _listIsSet = false;
    }

    public void SetBuffer(int offset, int count)
    {
        BeginConfiguring();
        try
        {
            if (!_hasBuffer)
                return;
            if (Buffer is not { } array)
                throw new InvalidOperationException("The buffer is no array.");
            SetArray(array, offset, count);
        }
        finally
        {
            EndConfiguring();
        }
    }

    public void SetBuffer(byte[]? buffer, int offset, int count)
    {
        BeginConfiguring();
        try
        {
            if (buffer == null)
            {
                DropBuffer();
                return;
            }
            if (_bufferList != null)
                throw new ArgumentException("Buffer and BufferList exclude each other.");
            SetArray(buffer, offset, count);
        }
        finally
        {
            EndConfiguring();
        }
    }

    public void SetBuffer(Memory<byte> buffer)
    {
        BeginConfiguring();
        try
        {
            if (_bufferList != null)
            {
                if (!buffer.IsEmpty)
                    throw new ArgumentException("Buffer and BufferList exclude each other.");
                return;
            }
            _buffer = buffer;
            _hasBuffer = true;
            _offset = 0;
            _count = buffer.Length;
            _bufferIsSet = false;
        }
        finally
        {
            EndConfiguring();
        }
    }

    private void SetArray(byte[] array, int offset, int count)
    {
        if ((uint)offset > (uint)array.Length)
            throw new ArgumentOutOfRangeException(nameof(offset));
        if ((uint)count > (uint)(array.Length - offset))
            throw new ArgumentOutOfRangeException(nameof(count));
        _buffer = array;
        _hasBuffer = true;
        _offset = offset;
        _count = count;
        _bufferIsSet = false;
    }

    private void DropBuffer()
    {
        _buffer = default;
        _hasBuffer = false;
        _offset = 0;
        _count = 0;
        _bufferIsSet = false;
        _record.ClearBuffer();
    }

    private void BeginConfiguring()
    {
        int state = Interlocked.CompareExchange(ref _state, Configuring, Free);

        if (state == Disposed)
            throw new ObjectDisposedException(typeof(SocketAsyncEventArgs).FullName);
        if (state != Free)
            throw Refusal.Of(-Errno.EBUSY);
    }

    private void EndConfiguring() => Volatile.Write(ref _state, Free);

    // ---- what the user reads ----

    public SocketError SocketError { get; set; }

    /// <summary>At most 2^31 - 1; <see cref="TotalBytesTransferred"/> has all.</summary>
    public int BytesTransferred => (int)Math.Min(TotalBytesTransferred, int.MaxValue);

    /// <summary>All bytes, also beyond 2 GiB; with an error, what the stream holds of the operation.</summary>
    public long TotalBytesTransferred { get; private set; }

    /// <summary>The errno as the kernel gave it; 0 with success.</summary>
    public int NativeError { get; private set; }

    public SocketAsyncOperation LastOperation { get; private set; }

    public Socket? ConnectSocket { get; private set; }

    public Exception? ConnectByNameError { get; internal set; }

    // ---- the start ----

    internal Record Record => _record;

    internal SendPacketsElement?[]? Packets => _packets;

    /// <summary>Takes the args for an operation. What is refused later gives them back unchanged.</summary>
    internal unsafe void Begin(Socket socket, SocketAsyncOperation operation)
    {
        int state = Interlocked.CompareExchange(ref _state, InProgress, Free);

        if (state == Disposed || (_disposeCalled && state == Free))
            throw new ObjectDisposedException(typeof(SocketAsyncEventArgs).FullName);
        if (state != Free)
            throw Refusal.Of(-Errno.EBUSY);
        _refusedError = SocketError;
        _refusedBytes = TotalBytesTransferred;
        _refusedOperation = LastOperation;
        _socket = socket;
        _record.Owner = this;
        LastOperation = operation;
        SocketError = SocketError.IOPending;
        TotalBytesTransferred = 0;
        _record.Args->Flags = (uint)SocketFlags;
        _record.Args->TimeoutNanoseconds =
            Timeout == System.Threading.Timeout.InfiniteTimeSpan ? 0 : Math.Max(1, Time.Nanoseconds(Timeout));
        if (!_suppressFlow)
            _context = ExecutionContext.Capture();
    }

    /// <summary>The buffer or list, pinned for as long as it is set.</summary>
    internal void PrepareMemory()
    {
        if (_bufferList != null)
        {
            if (_listIsSet)
                return;
            _record.SetList(new ArraySegment<ArraySegment<byte>>(_segments, 0, _segmentCount));
            _listIsSet = true;
            _bufferIsSet = false;
            return;
        }
        if (!_hasBuffer)
            throw new ArgumentException("Neither Buffer nor BufferList is set.", "e");
        if (_bufferIsSet)
            return;
        _record.ReleaseBuffer();
        _record.SetBuffer(_buffer.Slice(_offset, _count));
        _bufferIsSet = true;
    }

    internal bool HasMemory => _hasBuffer || _bufferList != null;

    /// <summary>The packets, pinned until the end. What they put in the record's place goes.</summary>
    internal unsafe void PreparePackets()
    {
        _record.SetPackets(_packets);
        _record.Args->TransmitFlags = (uint)SendPacketsFlags;
    }

    internal void PrepareFrom()
    {
        _fromTemplate = RemoteEndPoint;
        _record.WantFrom();
    }

    /// <summary>Refused: as it was.</summary>
    internal void Abandon()
    {
        if (LastOperation == SocketAsyncOperation.SendPackets)
            DropPackets();
        SocketError = _refusedError;
        TotalBytesTransferred = _refusedBytes;
        LastOperation = _refusedOperation;
        _record.Owner = null;
        _context = null;
        BecomeFree();
    }

    private void DropPackets()
    {
        _record.ReleaseLists();
        _listIsSet = false;
    }

    /* A dispose that came meanwhile takes effect. */
    private void BecomeFree()
    {
        if (!_disposeCalled)
        {
            Volatile.Write(ref _state, Free);
            if (!_disposeCalled)
                return;
            if (Interlocked.CompareExchange(ref _state, Disposed, Free) != Free)
                return;
        }
        else
        {
            Volatile.Write(ref _state, Disposed);
        }
        _record.Return();
        GC.SuppressFinalize(this);
    }

    /// <summary>Ended inside the starting call: the results are there, the handler does not run.</summary>
    internal void EndedAtOnce()
    {
        Take();
        _context = null;
        BecomeFree();
    }

    // ---- the end ----

    private unsafe void Take()
    {
        Socket socket = _socket!;

        SocketError = _record.Error;
        NativeError = _record.NativeError;
        TotalBytesTransferred = _record.Bytes;
        SocketFlags = SocketFlags.None;
        socket.Learn(SocketError);
        switch (LastOperation)
        {
        case SocketAsyncOperation.SendPackets:
            DropPackets();
            break;
        case SocketAsyncOperation.Accept:
            if (_record.Args->AcceptSocket != 0)
                AcceptSocket = socket.Accepted(_record.Args->AcceptSocket);
            _record.Args->AcceptSocket = 0;
            break;
        case SocketAsyncOperation.Connect:
            ConnectSocket = SocketError == SocketError.Success ? socket : null;
            if (SocketError == SocketError.Success)
                socket.BecameConnected(RemoteEndPoint);
            break;
        case SocketAsyncOperation.Disconnect:
            if (SocketError == SocketError.Success)
                socket.BecameDisconnected();
            break;
        case SocketAsyncOperation.ReceiveFrom or SocketAsyncOperation.ReceiveMessageFrom:
            if (SocketError is SocketError.Success or SocketError.MessageSize)
                RemoteEndPoint = Address.Read(_record.From, _fromTemplate);
            break;
        }
        _record.Owner = null;
    }

    void IRecordOwner.Ended(Record record)
    {
        Take();
        _socket!.Continue(this);
    }

    void IRecordOwner.Continue() => Finish();

    private void Finish()
    {
        ExecutionContext? context = _context;

        _context = null;
        BecomeFree();
        if (context == null)
            OnCompleted(this);
        else
            ExecutionContext.Run(context, static state => ((SocketAsyncEventArgs)state!).Raise(), this);
    }

    private void Raise() => OnCompleted(this);

    internal void CancelConnect()
    {
        if (LastOperation == SocketAsyncOperation.Connect)
            _socket?.Cancel(_record);
    }

    /// <summary>An operation that was carried out by others of this library, as a connect by name.</summary>
    internal void EndedElsewhere(SocketError error, int nativeError)
    {
        SocketError = error;
        NativeError = nativeError;
        TotalBytesTransferred = 0;
        SocketFlags = SocketFlags.None;
        ConnectSocket = error == SocketError.Success ? _socket : null;
        _record.Owner = null;
        Finish();
    }
}
