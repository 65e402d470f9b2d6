// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.Net;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;
using NetSocket = System.Net.Sockets.Socket;

namespace Sluice.Tests;

/// <summary>The test cannot run here.</summary>
public sealed class SkipException(string reason) : Exception(reason);

/// <summary>What has to hold.</summary>
internal static class Check
{
    public static void That(bool holds, [CallerArgumentExpression(nameof(holds))] string what = "")
    {
        if (!holds)
            throw new InvalidOperationException($"does not hold: {what}");
    }

    public static void Equal<T>(T expected, T seen, [CallerArgumentExpression(nameof(seen))] string what = "")
    {
        if (!EqualityComparer<T>.Default.Equals(expected, seen))
            throw new InvalidOperationException($"{what} is {seen}, not {expected}");
    }

    /// <summary>Exactly this exception or a subclass; its parameter's name, if it is asked for.</summary>
    public static T Throws<T>(Action action, string? parameter = null) where T : Exception
    {
        try
        {
            action();
        }
        catch (T exception)
        {
            if (parameter != null)
                Equal(parameter, (exception as ArgumentException)?.ParamName);
            return exception;
        }
        catch (Exception exception)
        {
            throw new InvalidOperationException($"{exception.GetType().Name} instead of {typeof(T).Name}: {exception}");
        }
        throw new InvalidOperationException($"no {typeof(T).Name}");
    }

    public static async Task<T> ThrowsAsync<T>(Func<Task> action) where T : Exception
    {
        try
        {
            await action();
        }
        catch (T exception)
        {
            return exception;
        }
        throw new InvalidOperationException($"no {typeof(T).Name}");
    }

    public static void Socket(SocketError error, Action action) =>
        Equal(error, Throws<SocketException>(action).SocketErrorCode);

    /// <summary>Waits for what another thread does.</summary>
    public static void Until(Func<bool> holds, [CallerArgumentExpression(nameof(holds))] string what = "")
    {
        long end = Environment.TickCount64 + 30_000;

        while (!holds())
        {
            if (Environment.TickCount64 > end)
                throw new TimeoutException($"never: {what}");
            Thread.Sleep(1);
        }
    }
}

/// <summary>A connection over loopback: ours, and a peer of the runtime's.</summary>
internal sealed class Pair : IDisposable
{
    public Pair(bool small = false, SluiceEngine? engine = null)
    {
        using var listener = new NetSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        var client = new NetSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        if (small)
        {
            listener.ReceiveBufferSize = 16384;
            client.SendBufferSize = 16384;
        }
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        client.Connect(listener.LocalEndPoint!);
        Peer = listener.Accept();
        client.NoDelay = true;
        Ours = new Socket(client, engine);
    }

    public Socket Ours { get; }

    public NetSocket Peer { get; }

    /// <summary>Reads exactly so many bytes.</summary>
    public byte[] Read(int count)
    {
        var bytes = new byte[count];

        for (int at = 0; at < count;)
        {
            int got = Peer.Receive(bytes, at, count - at, SocketFlags.None);

            if (got == 0)
                throw new InvalidOperationException($"the stream ends after {at} of {count}");
            at += got;
        }
        return bytes;
    }

    /// <summary>Reads to the end of the stream; the bytes, or -1 for a reset.</summary>
    public long Drain()
    {
        var bytes = new byte[65536];
        long total = 0;

        try
        {
            while (true)
            {
                int got = Peer.Receive(bytes);

                if (got == 0)
                    return total;
                total += got;
            }
        }
        catch (SocketException)
        {
            return -1;
        }
    }

    /// <summary>The peer sends RST.</summary>
    public void Reset()
    {
        Peer.LingerState = new LingerOption(true, 0);
        Peer.Dispose();
    }

    public void Dispose()
    {
        Ours.Dispose();
        Peer.Dispose();
    }
}

internal static class Bytes
{
    public static byte[] Pattern(int count, int seed = 1)
    {
        var bytes = new byte[count];

        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
