// SPDX-License-Identifier: MIT
using System;
using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Sluice;

/// <summary>struct sockaddr and EndPoint. IP addresses are converted without an allocation.</summary>
internal static class Address
{
    private const int Inet = 2, Inet6 = 10;
    private const int InetBytes = 16, Inet6Bytes = 28;

    public static int Write(EndPoint endPoint, Span<byte> to)
    {
        if (endPoint is IPEndPoint ip)
            return Write(ip, to);
        SocketAddress address = endPoint.Serialize();

        address.Buffer.Span[..address.Size].CopyTo(to);
        return address.Size;
    }

    private static int Write(IPEndPoint endPoint, Span<byte> to)
    {
        bool isV4 = endPoint.AddressFamily == AddressFamily.InterNetwork;
        ushort family = isV4 ? (ushort)Inet : (ushort)Inet6;

        to[..Inet6Bytes].Clear();
        MemoryMarshal.Write(to, in family);
        BinaryPrimitives.WriteUInt16BigEndian(to[2..], (ushort)endPoint.Port);
        endPoint.Address.TryWriteBytes(to[(isV4 ? 4 : 8)..], out _);
        if (!isV4)
        {
            uint scope = (uint)endPoint.Address.ScopeId;

            MemoryMarshal.Write(to[24..], in scope);
        }
        return isV4 ? InetBytes : Inet6Bytes;
    }

    /// <summary>The address as an end point; the old one if it is equal.</summary>
    public static EndPoint? Read(ReadOnlySpan<byte> from, EndPoint? old)
    {
        if (from.Length < 2)
            return old;
        Span<byte> same = stackalloc byte[Record.AddressBytes];

        if (old is IPEndPoint ip && Write(ip, same) is int length && length <= from.Length &&
            same[..length].SequenceEqual(from[..length]))
            return old;
        switch (MemoryMarshal.Read<ushort>(from))
        {
        case Inet when from.Length >= InetBytes:
            return new IPEndPoint(new IPAddress(from.Slice(4, 4)), BinaryPrimitives.ReadUInt16BigEndian(from[2..]));
        case Inet6 when from.Length >= Inet6Bytes:
            return new IPEndPoint(new IPAddress(from.Slice(8, 16), MemoryMarshal.Read<uint>(from[24..])),
                BinaryPrimitives.ReadUInt16BigEndian(from[2..]));
        default:
            return Other(from, old);
        }
    }

    private static EndPoint? Other(ReadOnlySpan<byte> from, EndPoint? old)
    {
        if (old == null)
            return null;
        var address = new SocketAddress(old.AddressFamily, from.Length);

        from.CopyTo(address.Buffer.Span);
        return old.Create(address);
    }
}
