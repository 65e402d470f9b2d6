// SPDX-License-Identifier: MIT
using System;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Connections;
using NetSocket = System.Net.Sockets.Socket;

namespace Sluice.AspNetCore;

/// <summary>One socket on each engine, all bound to the same end point; connections come by a channel.</summary>
internal sealed class SluiceListener : IConnectionListener
{
    /* Of Linux: SO_REUSEPORT of SOL_SOCKET. */
    private const int SolSocket = 1, SoReusePort = 15;

    private static readonly Table<Listening> s_listening = new();

    private readonly Channel<ConnectionContext> _accepted =
        Channel.CreateUnbounded<ConnectionContext>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Listening[] _listening;

    /// <summary>A listening socket and what its connections get.</summary>
    private sealed class Listening(Socket socket, SluiceTransportOptions options, ChannelWriter<ConnectionContext> to)
    {
        public readonly Socket Socket = socket;
        public readonly SluiceTransportOptions Options = options;
        public readonly ChannelWriter<ConnectionContext> To = to;
    }

    public SluiceListener(EndPoint endPoint, SluiceEngine[] engines, SluiceTransportOptions options)
    {
        EndPoint = endPoint;
        _listening = new Listening[endPoint is IPEndPoint ? engines.Length : 1];
        for (int i = 0; i < _listening.Length; i++)
        {
            var socket = new Socket(Bind(EndPoint, options, _listening.Length > 1), engines[i]);

            EndPoint = socket.LocalEndPoint!;
            _listening[i] = new Listening(socket, options, _accepted.Writer);
            Start(_listening[i]);
        }
    }

    public EndPoint EndPoint { get; }

    private static NetSocket Bind(EndPoint endPoint, SluiceTransportOptions options, bool shared)
    {
        var socket = endPoint is UnixDomainSocketEndPoint
            ? new NetSocket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new NetSocket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);

        try
        {
            if (endPoint is IPEndPoint ip)
            {
                if (ip.Address.Equals(IPAddress.IPv6Any))
                    socket.DualMode = true;
                /* Connections inherit it. */
                socket.NoDelay = options.NoDelay;
                if (shared)
                    socket.SetRawSocketOption(SolSocket, SoReusePort, [1, 0, 0, 0]);
            }
            socket.Bind(endPoint);
            socket.Listen(options.Backlog);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static unsafe void Start(Listening listening)
    {
        SocketHandle handle = listening.Socket.HandleOfEngine;
        var events = new NativeEvents
        {
            Size = (nuint)sizeof(NativeEvents),
            Function = (nint)(delegate* unmanaged<nint, NativeAccepted*, nint, void>)&OnAccepted,
            Token = s_listening.Add(listening),
        };
        int answer = -Errno.EBADF;

        if (handle.Enter())
        {
            answer = Native.AcceptStart(handle.Native, &events);
            handle.Exit();
        }
        if (answer < 0)
            throw Refusal.Of(answer);
    }

    [UnmanagedCallersOnly]
    private static unsafe void OnAccepted(nint native, NativeAccepted* accepted, nint token)
    {
        try
        {
            Listening listening = s_listening[token];

            if (accepted->Socket != 0)
            {
                var connection = new SluiceConnection(listening.Socket.Accepted(accepted->Socket), listening.Options);

                connection.Start();
                if (!listening.To.TryWrite(connection))
                    connection.Abort();
            }
            if (accepted->Terminal != 0)
                s_listening.Remove((int)token);
        }
        catch (Exception exception)
        {
            Unhandled.Throw(exception);
        }
    }

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (await _accepted.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
        {
            if (_accepted.Reader.TryRead(out ConnectionContext? connection))
                return connection;
        }
        return null;
    }

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        foreach (Listening listening in _listening)
            listening.Socket.Dispose();
        _accepted.Writer.TryComplete();
        return default;
    }

    public ValueTask DisposeAsync() => UnbindAsync();
}
