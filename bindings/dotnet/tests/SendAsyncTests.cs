// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Threading;
using System.Threading.Tasks;

namespace Sluice.Tests;

/// <summary>The page of Socket.SendAsync(SocketAsyncEventArgs), and what the args promise.</summary>
public static class SendAsyncTests
{
    private static readonly byte[] Eight = [1, 2, 3, 4, 5, 6, 7, 8];

    private static SocketAsyncEventArgs Args(byte[] buffer)
    {
        var args = new SocketAsyncEventArgs();

        args.SetBuffer(buffer, 0, buffer.Length);
        return args;
    }

    /// <summary>Starts it and waits for the end, whichever way that comes.</summary>
    private static void Send(Socket socket, SocketAsyncEventArgs args, Func<SocketAsyncEventArgs, bool>? start = null)
    {
        using var ended = new ManualResetEventSlim();
        EventHandler<SocketAsyncEventArgs> handler = (_, _) => ended.Set();

        args.Completed += handler;
        if ((start ?? socket.SendAsync)(args))
            Check.That(ended.Wait(60_000));
        args.Completed -= handler;
    }

    public static void SendAsync_that_is_pending_raises_Completed_exactly_once()
    {
        using var pair = new Pair(small: true);
        int raised = 0, pending = 0;
        Task<byte[]> reading = Task.Run(() => pair.Read(200 * 65536));

        for (int i = 0; i < 200; i++)
        {
            SocketAsyncEventArgs args = Args(new byte[65536]);

            args.Completed += (sender, e) =>
            {
                if (e.SocketError == SocketError.Success && e.BytesTransferred == 65536 && sender == pair.Ours)
                    Interlocked.Increment(ref raised);
            };
            if (pair.Ours.SendAsync(args))
                pending++;
        }
        Check.Equal(200 * 65536, reading.Result.Length);
        Check.Until(() => Volatile.Read(ref raised) == pending);
        Thread.Sleep(20);
        Check.Equal(pending, raised);
    }

    public static void SendAsync_that_is_done_at_once_returns_false_and_raises_nothing()
    {
        using var pair = new Pair();
        using var ended = new ManualResetEventSlim();
        bool raised = false, pending = true;
        SocketAsyncEventArgs args = Args(Eight);

        args.Completed += (_, _) => raised = true;
        // On the engine's thread a send is tried at once if it is asked for.
        args.SocketFlags = SluiceFlags.Eager;
        pair.Ours.Engine.Post(_ =>
        {
            pending = pair.Ours.SendAsync(args);
            ended.Set();
        }, null);
        Check.That(ended.Wait(30_000));
        Check.That(!pending);
        Check.Equal(SocketError.Success, args.SocketError);
        Check.Equal(8, args.BytesTransferred);
        Thread.Sleep(20);
        Check.That(!raised);
    }

    public static void SendAsync_with_neither_buffer_nor_list_is_an_ArgumentException()
    {
        using var pair = new Pair();
        using var args = new SocketAsyncEventArgs();

        Check.Throws<ArgumentException>(() => pair.Ours.SendAsync(args));
        Check.Throws<ArgumentNullException>(() => pair.Ours.SendAsync((SocketAsyncEventArgs)null!), "e");
        Check.Equal(SocketAsyncOperation.None, args.LastOperation);
    }

    public static void SendAsync_takes_a_buffer_or_a_list_but_not_both()
    {
        using var args = new SocketAsyncEventArgs();
        var list = new List<ArraySegment<byte>> { new(Eight) };

        args.SetBuffer(Eight, 0, 8);
        Check.Throws<ArgumentException>(() => args.BufferList = list);
        Check.Equal(Eight, args.Buffer);
        args.SetBuffer(null, 0, 0);
        args.BufferList = list;
        Check.Throws<ArgumentException>(() => args.SetBuffer(Eight, 0, 8));
        Check.Throws<ArgumentException>(() => args.SetBuffer(Eight.AsMemory()));
        Check.That(ReferenceEquals(list, args.BufferList));
    }

    public static void SendAsync_of_args_in_progress_is_an_InvalidOperationException()
    {
        using var pair = new Pair(small: true);
        SocketAsyncEventArgs args = Args(new byte[5_000_000]);

        Check.That(pair.Ours.SendAsync(args));
        Check.Throws<InvalidOperationException>(() => pair.Ours.SendAsync(args));
        Check.Throws<InvalidOperationException>(() => args.SetBuffer(0, 1));
        Check.Throws<InvalidOperationException>(() => args.SetBuffer(Eight, 0, 8));
        Check.Throws<InvalidOperationException>(() => args.SetBuffer(Eight.AsMemory()));
        Check.Throws<InvalidOperationException>(() => args.BufferList = null);
        Check.Throws<InvalidOperationException>(() => args.SendPacketsElements = null);
        Check.Equal(SocketError.IOPending, args.SocketError);
        Check.Equal(0, args.BytesTransferred);
    }

    public static void SendAsync_on_a_closed_socket_is_an_ObjectDisposedException()
    {
        var pair = new Pair();
        using SocketAsyncEventArgs args = Args(Eight);

        pair.Dispose();
        Check.Throws<ObjectDisposedException>(() => pair.Ours.SendAsync(args));
    }

    public static void SendAsync_on_a_socket_that_is_not_yet_connected_is_a_SocketException()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using SocketAsyncEventArgs args = Args(Eight);

        Check.Socket(SocketError.NotConnected, () => socket.SendAsync(args));
        Check.Equal(SocketAsyncOperation.None, args.LastOperation);
        Check.Equal(SocketError.Success, args.SocketError);
        args.SetBuffer(0, 4);
    }

    public static void SendAsync_writes_one_or_more_buffers()
    {
        using var pair = new Pair(small: true);
        byte[] sent = Bytes.Pattern(5 * 1_234_567);
        using var args = new SocketAsyncEventArgs();
        Task<byte[]> reading = Task.Run(() => pair.Read(sent.Length));

        args.BufferList = Enumerable.Range(0, 5)
            .Select(i => new ArraySegment<byte>(sent, i * 1_234_567, 1_234_567)).ToList();
        Send(pair.Ours, args);
        Check.Equal(SocketError.Success, args.SocketError);
        Check.Equal(sent.Length, args.BytesTransferred);
        Check.That(reading.Result.AsSpan().SequenceEqual(sent));
    }

    public static void SendAsync_gives_the_UserToken_to_the_handler()
    {
        using var pair = new Pair();
        using var ended = new ManualResetEventSlim();
        object token = new();
        object? seen = null;
        SocketAsyncEventArgs args = Args(Eight);

        args.UserToken = token;
        args.SocketFlags = SluiceFlags.Batched;
        args.Completed += (_, e) =>
        {
            seen = e.UserToken;
            ended.Set();
        };
        Check.That(pair.Ours.SendAsync(args));
        Check.That(ended.Wait(30_000));
        Check.That(ReferenceEquals(token, seen));
    }

    public static void SendAsync_without_a_handler_ends_too()
    {
        using var pair = new Pair();
        SocketAsyncEventArgs args = Args(Eight);

        args.SocketFlags = SluiceFlags.Batched;
        Check.That(pair.Ours.SendAsync(args));
        Check.Until(() => args.SocketError == SocketError.Success);
        Check.Equal(8, args.BytesTransferred);
        Check.Equal(SocketFlags.None, args.SocketFlags);
        Check.Equal(SocketAsyncOperation.Send, args.LastOperation);
    }

    public static void SetBuffer_refuses_a_bad_offset_or_count_and_keeps_the_old()
    {
        using SocketAsyncEventArgs args = Args(Eight);

        Check.Throws<ArgumentOutOfRangeException>(() => args.SetBuffer(-1, -1), "offset");
        Check.Throws<ArgumentOutOfRangeException>(() => args.SetBuffer(9, 0), "offset");
        Check.Throws<ArgumentOutOfRangeException>(() => args.SetBuffer(4, 5), "count");
        Check.Throws<ArgumentOutOfRangeException>(() => args.SetBuffer(new byte[1], 0, 2), "count");
        Check.Equal(Eight, args.Buffer);
        Check.Equal(0, args.Offset);
        Check.Equal(8, args.Count);
        args.SetBuffer(8, 0);
        Check.Equal(0, args.Count);
    }

    public static void Dispose_of_args_in_progress_waits_for_the_end_and_the_handler_runs()
    {
        using var pair = new Pair(small: true);
        using var ended = new ManualResetEventSlim();
        SocketAsyncEventArgs args = Args(new byte[1_000_000]);
        bool refused = false;

        args.Completed += (_, e) =>
        {
            try
            {
                pair.Ours.SendAsync(e);
            }
            catch (ObjectDisposedException)
            {
                refused = e.SocketError == SocketError.Success;
            }
            ended.Set();
        };
        Check.That(pair.Ours.SendAsync(args));
        args.Dispose();
        args.Dispose();
        pair.Read(1_000_000);
        Check.That(ended.Wait(30_000));
        Check.That(refused);
        Check.Throws<ObjectDisposedException>(() => args.SetBuffer(Eight, 0, 8));
    }

    public static void SendAsync_from_several_threads_never_interleaves()
    {
        using var pair = new Pair(small: true);
        const int Size = 200_000, Each = 10;
        Task<byte[]> reading = Task.Run(() => pair.Read(4 * Each * Size));
        Task[] senders = Enumerable.Range(0, 4).Select(thread => Task.Run(async () =>
        {
            var message = new byte[Size];

            message.AsSpan().Fill((byte)(thread + 1));
            for (int i = 0; i < Each; i++)
                Check.Equal(Size, await pair.Ours.SendAsync(message.AsMemory()));
        })).ToArray();

        Task.WaitAll(senders);

        byte[] got = reading.Result;

        for (int i = 0; i < got.Length; i += Size)
            Check.That(got.AsSpan(i, Size).IndexOfAnyExcept(got[i]) < 0);
    }

    public static void SendAsync_restarted_in_its_handler_does_not_nest()
    {
        using var pair = new Pair();
        using var ended = new ManualResetEventSlim();
        Task<byte[]> reading = Task.Run(() => pair.Read(20_000 * 8));
        SocketAsyncEventArgs args = Args(Eight);
        int left = 20_000;

        args.Completed += (_, e) =>
        {
            do
            {
                if (--left == 0)
                {
                    ended.Set();
                    return;
                }
            }
            while (!pair.Ours.SendAsync(e));
        };
        args.SocketFlags = SluiceFlags.Batched;
        Check.That(pair.Ours.SendAsync(args));
        Check.That(ended.Wait(100_000));
        Check.Equal(160_000, reading.Result.Length);
    }

    public static void SendToAsync_reaches_its_remote_and_binds_the_sender()
    {
        using var receiver = new System.Net.Sockets.Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        using var sender = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        using SocketAsyncEventArgs args = Args(Eight);

        receiver.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        Check.Throws<ArgumentException>(() => sender.SendToAsync(args), "e");
        args.RemoteEndPoint = new DnsEndPoint("localhost", 1);
        Check.Throws<ArgumentException>(() => sender.SendToAsync(args), "remoteEP");
        args.RemoteEndPoint = receiver.LocalEndPoint;
        Send(sender, args, sender.SendToAsync);
        Check.Equal(SocketError.Success, args.SocketError);
        Check.Equal(8, receiver.Receive(new byte[9]));
    }

    public static void SendAsync_ends_with_OperationAborted_when_the_socket_is_closed()
    {
        using var pair = new Pair(small: true);
        using var ended = new CountdownEvent(3);
        var args = new SocketAsyncEventArgs[3];

        for (int i = 0; i < 3; i++)
        {
            args[i] = Args(new byte[5_000_000]);
            args[i].Completed += (_, _) => ended.Signal();
            Check.That(pair.Ours.SendAsync(args[i]));
        }
        pair.Read(1);
        pair.Ours.Dispose();
        Check.That(ended.Wait(30_000));
        Check.That(args.All(e => e.SocketError == SocketError.OperationAborted));
        Check.That(args[0].BytesTransferred > 0);
        Check.Equal(-1L, pair.Drain());
    }

    public static void SendAsync_tells_a_reset_by_its_head_and_Shutdown_behind_it()
    {
        using var pair = new Pair(small: true);
        using var ended = new CountdownEvent(3);
        var args = new SocketAsyncEventArgs[3];

        for (int i = 0; i < 3; i++)
        {
            args[i] = Args(new byte[5_000_000]);
            args[i].Completed += (_, _) => ended.Signal();
            Check.That(pair.Ours.SendAsync(args[i]));
        }
        pair.Read(1);
        pair.Reset();
        Check.That(ended.Wait(30_000));
        Check.Equal(SocketError.ConnectionReset, args[0].SocketError);
        Check.Equal(SocketError.Shutdown, args[1].SocketError);
        Check.Equal(SocketError.Shutdown, args[2].SocketError);
        Check.Equal(0, args[1].BytesTransferred);
        Check.That(!pair.Ours.Connected);
    }

    public static void SendAsync_with_a_timeout_ends_with_TimedOut()
    {
        using var pair = new Pair(small: true);
        using SocketAsyncEventArgs args = Args(new byte[5_000_000]);

        args.Timeout = TimeSpan.FromMilliseconds(50);
        Send(pair.Ours, args);
        Check.Equal(SocketError.TimedOut, args.SocketError);
        Check.That(args.BytesTransferred > 0);
    }
}
