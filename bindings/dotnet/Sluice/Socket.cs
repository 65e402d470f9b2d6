// SPDX-License-Identifier: MIT
using System;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Threading;
using NetSocket = System.Net.Sockets.Socket;

namespace Sluice;

/// <summary>
/// A socket of an engine, with the names and signatures of System.Net.Sockets.Socket. Binding, listening and
/// options are the system's; whatever moves bytes is the library's.
/// </summary>
public sealed partial class Socket : IDisposable
{
    private readonly SocketHandle _handle;
    private NetSocket? _inner; /* for options and addresses alone; it does not own the descriptor */
    private EndPoint? _remote;
    private bool _connected;
    private int _descriptor;
    internal ValueOperation? LastOperation;

    // ---- made ----

    public Socket(SocketType socketType, ProtocolType protocolType)
        : this(new NetSocket(socketType, protocolType))
    {
    }

    public Socket(AddressFamily addressFamily, SocketType socketType, ProtocolType protocolType)
        : this(new NetSocket(addressFamily, socketType, protocolType))
    {
    }

    /// <summary>Takes the descriptor over: the library closes it.</summary>
    public Socket(SafeSocketHandle handle) : this(new NetSocket(handle))
    {
    }

    public Socket(AddressFamily addressFamily, SocketType socketType, ProtocolType protocolType, SluiceEngine engine)
        : this(new NetSocket(addressFamily, socketType, protocolType), engine)
    {
    }

    /// <summary>
    /// Takes over the descriptor of a socket, connected or not; the other is of no more use. Best before it was
    /// used asynchronously: the runtime goes on to watch a descriptor that was.
    /// </summary>
    public Socket(NetSocket socket, SluiceEngine? engine = null)
    {
        ArgumentNullException.ThrowIfNull(socket);
        SafeSocketHandle handle = socket.SafeHandle;

        AddressFamily = socket.AddressFamily;
        SocketType = socket.SocketType;
        ProtocolType = socket.ProtocolType;
        _connected = socket.Connected;
        _descriptor = (int)handle.DangerousGetHandle();
        Engine = engine ?? SluiceEngine.Default;
        Completion = Engine.Completion;
        _handle = new SocketHandle(Engine, _descriptor);
        /* From here on the descriptor is the library's. */
        handle.SetHandleAsInvalid();
        GC.SuppressFinalize(socket);
    }

    /// <summary>One that the library has accepted.</summary>
    private Socket(Socket listener, nint native)
    {
        AddressFamily = listener.AddressFamily;
        SocketType = listener.SocketType;
        ProtocolType = listener.ProtocolType;
        _connected = true;
        Engine = listener.Engine;
        Completion = listener.Completion;
        _descriptor = Native.SocketDescriptor(native);
        _handle = new SocketHandle(Engine, native);
    }

    internal Socket Accepted(nint native) => new(this, native);

    ~Socket() => _handle?.Finalized();

    /// <summary>The engine that runs the socket.</summary>
    public SluiceEngine Engine { get; }

    /// <summary>
    /// Where handlers of SocketAsyncEventArgs and continuations of this socket run. Callbacks of Begin
    /// always run on the pool.
    /// </summary>
    public SluiceCompletion Completion { get; set; }

    internal SocketHandle HandleOfEngine => _handle;

    // ---- ended ----

    internal bool IsDisposed => _handle.IsClosed;

    internal void ThrowIfDisposed()
    {
        if (_handle.IsClosed)
            ThrowDisposed();
    }

    [DoesNotReturn]
    private static void ThrowDisposed() => throw new ObjectDisposedException(typeof(Socket).FullName);

    /// <summary>
    /// Ends what is pending with OperationAborted. If sends were given up the peer gets RST, else all bytes
    /// and FIN.
    /// </summary>
    public void Dispose()
    {
        _handle.Close();
        Forget();
    }

    public void Close() => Dispose();

    /// <summary>Closes after the last queued byte, or after so many milliseconds; 0 is at once.</summary>
    public void Close(int timeout)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(timeout, -1);
        if (timeout == 0)
        {
            Dispose();
            return;
        }
        _handle.CloseGracefully(timeout < 0 ? -1 : timeout * 1_000_000L);
        Forget();
    }

    private void Forget()
    {
        _connected = false;
        Drained(false);
        _inner?.SafeHandle.SetHandleAsInvalid();
        ValueOperation.Give(Interlocked.Exchange(ref LastOperation, null));
        GC.SuppressFinalize(this);
    }

    // ---- what it is ----

    public AddressFamily AddressFamily { get; }

    public SocketType SocketType { get; }

    public ProtocolType ProtocolType { get; }

    public static bool OSSupportsIPv4 => NetSocket.OSSupportsIPv4;

    public static bool OSSupportsIPv6 => NetSocket.OSSupportsIPv6;

    public static bool OSSupportsUnixDomainSockets => NetSocket.OSSupportsUnixDomainSockets;

    /// <summary>Until a disconnect, a close or an error that ends the connection.</summary>
    public bool Connected => _connected && !IsDisposed;

    public nint Handle => _descriptor;

    public EndPoint? LocalEndPoint => Inner.LocalEndPoint;

    public EndPoint? RemoteEndPoint
    {
        get
        {
            ThrowIfDisposed();
            return _remote ??= Inner.RemoteEndPoint;
        }
    }

    public bool IsBound => Inner.IsBound;

    public int Available => Inner.Available;

    /// <summary>Calls that wait do so whatever this says: the descriptor never blocks.</summary>
    public bool Blocking { get; set; } = true;

    /* Looks at the descriptor when it is made: only for what is asked for seldom. */
    private NetSocket Inner
    {
        get
        {
            ThrowIfDisposed();
            if (Volatile.Read(ref _inner) is { } inner)
                return inner;
            var made = new NetSocket(new SafeSocketHandle(_descriptor, ownsHandle: false));

            inner = Interlocked.CompareExchange(ref _inner, made, null) ?? made;
            if (inner != made)
                made.SafeHandle.SetHandleAsInvalid();
            return inner;
        }
    }

    internal void BecameConnected(EndPoint? remote)
    {
        _connected = true;
        _remote = SocketType == SocketType.Stream ? remote : null;
        /* The next one sees the address that the kernel has chosen. */
        Volatile.Write(ref _inner, null);
    }

    internal void BecameDisconnected()
    {
        _connected = false;
        _remote = null;
        Volatile.Write(ref _inner, null);
    }

    internal void Finished(SocketAsyncOperation operation, SocketError error, EndPoint? remote)
    {
        if (error != SocketError.Success)
            return;
        if (operation == SocketAsyncOperation.Connect)
            BecameConnected(remote);
        else if (operation == SocketAsyncOperation.Disconnect)
            BecameDisconnected();
    }

    /// <summary>Errors that end a connection; others leave it connected.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Learn(SocketError error)
    {
        if (error != SocketError.Success)
            LearnFailure(error);
    }

    private void LearnFailure(SocketError error)
    {
        if (SocketType == SocketType.Stream && error is SocketError.ConnectionReset or SocketError.Shutdown or
                SocketError.ConnectionAborted or SocketError.NotConnected or SocketError.NoData)
            _connected = false;
    }

    // ---- where things go on ----

    internal void Continue(IRecordOwner owner)
    {
        if (Completion == SluiceCompletion.EngineThread)
            owner.Continue();
        else
            Engine.Completions.Add(owner);
    }

    internal void ContinueOnPool(IRecordOwner owner)
    {
        if (Engine.IsCurrentThread)
            Engine.Completions.Add(owner);
        else
            Engine.Completions.AddForeign(owner);
    }

    /// <summary>Whether the operation will end because of it, or by itself soon.</summary>
    internal bool Cancel(Record record)
    {
        if (!_handle.Enter())
            return false;

        int answer;

        unsafe
        {
            answer = Native.Cancel(_handle.Native, record.Args);
        }
        _handle.Exit();
        return answer >= 0;
    }

    /// <summary>Gives up everything in progress on the socket, with OperationAborted.</summary>
    public void CancelAll()
    {
        ThrowIfDisposed();
        if (!_handle.Enter())
            return;
        Native.SocketCancelAll(_handle.Native);
        _handle.Exit();
    }

    // ---- the system's ----

    public void Bind(EndPoint localEP) => Inner.Bind(localEP);

    public void Listen() => Inner.Listen();

    public void Listen(int backlog) => Inner.Listen(backlog);

    public bool Poll(int microSeconds, SelectMode mode) => Inner.Poll(microSeconds, mode);

    public bool Poll(TimeSpan timeout, SelectMode mode) => Inner.Poll(timeout, mode);

    public object? GetSocketOption(SocketOptionLevel optionLevel, SocketOptionName optionName) =>
        Inner.GetSocketOption(optionLevel, optionName);

    public void GetSocketOption(SocketOptionLevel optionLevel, SocketOptionName optionName, byte[] optionValue) =>
        Inner.GetSocketOption(optionLevel, optionName, optionValue);

    public byte[] GetSocketOption(SocketOptionLevel optionLevel, SocketOptionName optionName, int optionLength) =>
        Inner.GetSocketOption(optionLevel, optionName, optionLength);

    public int GetRawSocketOption(int optionLevel, int optionName, Span<byte> optionValue) =>
        Inner.GetRawSocketOption(optionLevel, optionName, optionValue);

    public void SetSocketOption(SocketOptionLevel optionLevel, SocketOptionName optionName, int optionValue) =>
        Inner.SetSocketOption(optionLevel, optionName, optionValue);

    public void SetSocketOption(SocketOptionLevel optionLevel, SocketOptionName optionName, bool optionValue) =>
        Inner.SetSocketOption(optionLevel, optionName, optionValue);

    public void SetSocketOption(SocketOptionLevel optionLevel, SocketOptionName optionName, byte[] optionValue) =>
        Inner.SetSocketOption(optionLevel, optionName, optionValue);

    public void SetSocketOption(SocketOptionLevel optionLevel, SocketOptionName optionName, object optionValue) =>
        Inner.SetSocketOption(optionLevel, optionName, optionValue);

    public void SetRawSocketOption(int optionLevel, int optionName, ReadOnlySpan<byte> optionValue) =>
        Inner.SetRawSocketOption(optionLevel, optionName, optionValue);

    public int IOControl(int ioControlCode, byte[]? optionInValue, byte[]? optionOutValue) =>
        Inner.IOControl(ioControlCode, optionInValue, optionOutValue);

    public int IOControl(IOControlCode ioControlCode, byte[]? optionInValue, byte[]? optionOutValue) =>
        Inner.IOControl(ioControlCode, optionInValue, optionOutValue);

    public bool NoDelay { get => Inner.NoDelay; set => Inner.NoDelay = value; }

    public int SendBufferSize { get => Inner.SendBufferSize; set => Inner.SendBufferSize = value; }

    public int ReceiveBufferSize { get => Inner.ReceiveBufferSize; set => Inner.ReceiveBufferSize = value; }

    [DisallowNull]
    public LingerOption? LingerState { get => Inner.LingerState; set => Inner.LingerState = value; }

    public bool DualMode { get => Inner.DualMode; set => Inner.DualMode = value; }

    public bool EnableBroadcast { get => Inner.EnableBroadcast; set => Inner.EnableBroadcast = value; }

    public bool ExclusiveAddressUse { get => Inner.ExclusiveAddressUse; set => Inner.ExclusiveAddressUse = value; }

    public bool DontFragment { get => Inner.DontFragment; set => Inner.DontFragment = value; }

    public bool MulticastLoopback { get => Inner.MulticastLoopback; set => Inner.MulticastLoopback = value; }

    public short Ttl { get => Inner.Ttl; set => Inner.Ttl = value; }

    private int _sendTimeout;
    private int _receiveTimeout;

    /// <summary>Milliseconds of the calls that wait; 0 and -1 are none.</summary>
    public int SendTimeout
    {
        get => _sendTimeout;
        set => _sendTimeout = Milliseconds(value);
    }

    public int ReceiveTimeout
    {
        get => _receiveTimeout;
        set => _receiveTimeout = Milliseconds(value);
    }

    private static int Milliseconds(int value)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(value, -1);
        return value < 0 ? 0 : value;
    }

    public void Shutdown(SocketShutdown how)
    {
        ThrowIfDisposed();

        int answer = -Errno.EBADF;

        if (_handle.Enter())
        {
            answer = Native.SocketShutdown(_handle.Native, (int)how);
            _handle.Exit();
        }
        if (answer < 0)
            throw Refusal.Of(answer, nameof(how));
    }
}
