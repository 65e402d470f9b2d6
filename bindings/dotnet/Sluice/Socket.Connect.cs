// SPDX-License-Identifier: MIT
using System;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;

namespace Sluice;

public sealed unsafe partial class Socket
{
    private int StartConnect(NativeArgs* args)
    {
        if (!_handle.Enter())
            return -Errno.EBADF;
        int answer = Native.ConnectAsync(_handle.Native, args);

        _handle.Exit();
        return answer;
    }

    private int StartAccept(NativeArgs* args)
    {
        if (!_handle.Enter())
            return -Errno.EBADF;
        int answer = Native.AcceptAsync(_handle.Native, args);

        _handle.Exit();
        return answer;
    }

    private int StartDisconnect(NativeArgs* args, bool reuseSocket)
    {
        args->DisconnectReuseSocket = reuseSocket ? 1u : 0u;
        if (!_handle.Enter())
            return -Errno.EBADF;
        int answer = Native.DisconnectAsync(_handle.Native, args);

        _handle.Exit();
        return answer;
    }

    // ---- connect ----

    public bool ConnectAsync(SocketAsyncEventArgs e)
    {
        Begin(e, SocketAsyncOperation.Connect);
        try
        {
            if (e.HasMemory)
                throw new PlatformNotSupportedException("A connect sends nothing: start a send behind it, it waits.");
            ArgumentNullException.ThrowIfNull(e.RemoteEndPoint, "remoteEP");
            if (e.RemoteEndPoint is DnsEndPoint name)
            {
                e.Record.Args->Flags = 0;
                _ = ConnectByName(e, name);
                return true;
            }
            CheckFamily(e.RemoteEndPoint);
            SetRemote(e.Record, e.RemoteEndPoint);
        }
        catch
        {
            e.Abandon();
            throw;
        }
        return Answer(e, StartConnect(e.Record.Args));
    }

    /// <summary>Of a connect in progress: it ends with OperationAborted, and the socket may connect again.</summary>
    public static void CancelConnectAsync(SocketAsyncEventArgs e)
    {
        ArgumentNullException.ThrowIfNull(e);
        e.CancelConnect();
    }

    private void CheckFamily(EndPoint remoteEP)
    {
        if (remoteEP.AddressFamily != AddressFamily && remoteEP.AddressFamily != AddressFamily.Unspecified &&
            !(remoteEP.AddressFamily == AddressFamily.InterNetwork && AddressFamily == AddressFamily.InterNetworkV6))
            throw new NotSupportedException("The end point is of another address family.");
    }

    public Task ConnectAsync(EndPoint remoteEP) => ConnectAsync(remoteEP, CancellationToken.None).AsTask();

    public ValueTask ConnectAsync(EndPoint remoteEP, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(remoteEP);
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled(cancellationToken);
        return remoteEP is DnsEndPoint name
            ? ConnectToAny(name.Host, name.Port, cancellationToken)
            : ConnectCore(remoteEP, cancellationToken);
    }

    private ValueTask StartConnect(EndPoint remoteEP, CancellationToken cancellationToken)
    {
        ValueOperation operation = Operation(SocketFlags.None, NoTimeout);

        SetRemote(operation.Record, remoteEP);
        return operation.ToVoid(StartConnect(operation.Record.Args), cancellationToken);
    }

    public Task ConnectAsync(IPAddress address, int port) => ConnectAsync(new IPEndPoint(address, port));

    public ValueTask ConnectAsync(IPAddress address, int port, CancellationToken cancellationToken) =>
        ConnectAsync(new IPEndPoint(address, port), cancellationToken);

    public Task ConnectAsync(IPAddress[] addresses, int port) =>
        ConnectAsync(addresses, port, CancellationToken.None).AsTask();

    public ValueTask ConnectAsync(IPAddress[] addresses, int port, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(addresses);
        if (addresses.Length == 0)
            throw new ArgumentException("There are no addresses.", nameof(addresses));
        return ConnectToAny(addresses, port, cancellationToken);
    }

    public Task ConnectAsync(string host, int port) => ConnectAsync(host, port, CancellationToken.None).AsTask();

    public ValueTask ConnectAsync(string host, int port, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(host);
        return ConnectToAny(host, port, cancellationToken);
    }

    /* One after another: a socket that failed to connect may connect again. */

    public void Connect(EndPoint remoteEP)
    {
        ArgumentNullException.ThrowIfNull(remoteEP);
        if (remoteEP is DnsEndPoint name)
        {
            Connect(name.Host, name.Port);
            return;
        }
        ThrowIfDisposed();
        CheckFamily(remoteEP);

        ValueOperation operation = ToWaitFor(SocketFlags.None, 0);

        SetRemote(operation.Record, remoteEP);
        operation.Wait(StartConnect(operation.Record.Args), out SocketError error, out int nativeError, out _, out _);
        Waited(0, error, nativeError);
        BecameConnected(remoteEP);
    }

    public void Connect(IPAddress address, int port) => Connect(new IPEndPoint(address, port));

    public void Connect(string host, int port)
    {
        ArgumentNullException.ThrowIfNull(host);
        Connect(Dns.GetHostAddresses(host), port);
    }

    public void Connect(IPAddress[] addresses, int port)
    {
        ArgumentNullException.ThrowIfNull(addresses);
        ThrowIfEngine();
        ConnectToAny(addresses, port, CancellationToken.None).AsTask().GetAwaiter().GetResult();
    }

    // ---- accept ----

    public bool AcceptAsync(SocketAsyncEventArgs e)
    {
        Begin(e, SocketAsyncOperation.Accept);
        if (e.HasMemory || e.AcceptSocket != null)
        {
            bool hasMemory = e.HasMemory;

            e.Abandon();
            throw hasMemory
                ? new PlatformNotSupportedException("An accept does not receive.")
                : new InvalidOperationException("AcceptSocket is set.");
        }
        int answer = StartAccept(e.Record.Args);

        if (answer == -Errno.EINVAL)
        {
            e.Abandon();
            throw NotListening();
        }
        return Answer(e, answer);
    }

    private static InvalidOperationException NotListening() => new("The socket does not listen.");

    public Task<Socket> AcceptAsync() => AcceptAsync(CancellationToken.None).AsTask();

    public ValueTask<Socket> AcceptAsync(CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled<Socket>(cancellationToken);

        ValueOperation operation = Operation(SocketFlags.None, NoTimeout);
        int answer = StartAccept(operation.Record.Args);

        if (answer == -Errno.EINVAL)
        {
            operation.Abandon();
            throw NotListening();
        }
        return operation.ToSocket(answer, cancellationToken);
    }

    public Socket Accept()
    {
        ValueOperation operation = ToWaitFor(SocketFlags.None, 0);
        int answer = StartAccept(operation.Record.Args);

        if (answer == -Errno.EINVAL)
        {
            operation.Abandon();
            throw NotListening();
        }
        operation.Wait(answer, out SocketError error, out int nativeError, out Socket? accepted, out _);
        Waited(0, error, nativeError);
        return accepted!;
    }

    // ---- disconnect ----

    /// <summary>
    /// Ends what this side sends, after the last byte that was started before; receiving goes on until the peer
    /// ends. With DisconnectReuseSocket the socket may connect again.
    /// </summary>
    public bool DisconnectAsync(SocketAsyncEventArgs e)
    {
        Begin(e, SocketAsyncOperation.Disconnect);
        return Answer(e, StartDisconnect(e.Record.Args, e.DisconnectReuseSocket));
    }

    private ValueTask DisconnectCore(bool reuseSocket, CancellationToken cancellationToken)
    {
        ValueOperation operation = Operation(SocketFlags.None, NoTimeout);

        return operation.ToVoid(StartDisconnect(operation.Record.Args, reuseSocket), cancellationToken);
    }

    public void Disconnect(bool reuseSocket)
    {
        ValueOperation operation = ToWaitFor(SocketFlags.None, 0);

        operation.Wait(StartDisconnect(operation.Record.Args, reuseSocket), out SocketError error,
            out int nativeError, out _, out _);
        Waited(0, error, nativeError);
        BecameDisconnected();
    }
}
