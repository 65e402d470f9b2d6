// SPDX-License-Identifier: MIT
using System;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;

namespace Sluice;

/// <summary>What awaits: the language does not let it stand among pointers.</summary>
public sealed partial class Socket
{
    private async Task ConnectByName(SocketAsyncEventArgs e, DnsEndPoint name)
    {
        try
        {
            await ConnectAsync((EndPoint)name, CancellationToken.None).ConfigureAwait(false);
            e.EndedElsewhere(SocketError.Success, 0);
        }
        catch (SocketException exception)
        {
            e.ConnectByNameError = exception;
            e.EndedElsewhere(exception.SocketErrorCode, exception.ErrorCode);
        }
        catch (Exception exception)
        {
            e.ConnectByNameError = exception;
            e.EndedElsewhere(SocketError.SocketError, 0);
        }
    }

    private async ValueTask ConnectCore(EndPoint remoteEP, CancellationToken cancellationToken)
    {
        CheckFamily(remoteEP);
        await StartConnect(remoteEP, cancellationToken).ConfigureAwait(false);
        BecameConnected(remoteEP);
    }

    private async ValueTask ConnectToAny(string host, int port, CancellationToken cancellationToken)
    {
        IPAddress[] addresses = await Dns.GetHostAddressesAsync(host, cancellationToken).ConfigureAwait(false);

        await ConnectToAny(addresses, port, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask ConnectToAny(IPAddress[] addresses, int port, CancellationToken cancellationToken)
    {
        SocketException? last = null;

        foreach (IPAddress address in addresses)
        {
            if (address.AddressFamily != AddressFamily &&
                !(address.AddressFamily == AddressFamily.InterNetwork && AddressFamily == AddressFamily.InterNetworkV6))
                continue;
            try
            {
                await ConnectCore(new IPEndPoint(address, port), cancellationToken).ConfigureAwait(false);
                return;
            }
            catch (SocketException exception)
            {
                last = exception;
            }
        }
        throw last ?? new SocketException((int)SocketError.HostNotFound);
    }

    public async ValueTask DisconnectAsync(bool reuseSocket, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await DisconnectCore(reuseSocket, cancellationToken).ConfigureAwait(false);
        BecameDisconnected();
    }

    public async ValueTask SendFileAsync(string? fileName, ReadOnlyMemory<byte> preBuffer,
        ReadOnlyMemory<byte> postBuffer, TransmitFileOptions flags, CancellationToken cancellationToken = default)
    {
        if (fileName is { Length: 0 })
            throw new ArgumentException("The path is empty.", nameof(fileName));

        SendPacketsElement?[] elements = [
            preBuffer.IsEmpty ? null : new SendPacketsElement(preBuffer),
            fileName == null ? null : new SendPacketsElement(fileName),
            postBuffer.IsEmpty ? null : new SendPacketsElement(postBuffer),
        ];

        await SendPackets(elements, flags, NoTimeout, cancellationToken).ConfigureAwait(false);
    }
}
