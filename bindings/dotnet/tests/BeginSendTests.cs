// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.Net;
using System.Threading;
using System.Threading.Tasks;

namespace Sluice.Tests;

/// <summary>The pages of Socket.BeginSend, with and without SocketError, sentence by sentence.</summary>
public static class BeginSendTests
{
    private static readonly byte[] Eight = [1, 2, 3, 4, 5, 6, 7, 8];

    public static void BeginSend_checks_buffer_offset_and_size()
    {
        using var pair = new Pair();

        Check.Throws<ArgumentNullException>(() => pair.Ours.BeginSend(null!, 0, 0, 0, null, null), "buffer");
        foreach ((int offset, int size, string name) in new[] {
            (-1, 0, "offset"), (9, 0, "offset"), (int.MaxValue, 1, "offset"),
            (0, -1, "size"), (0, 9, "size"), (4, 5, "size"), (8, 1, "size"), (1, int.MaxValue, "size") })
        {
            Check.Throws<ArgumentOutOfRangeException>(() => pair.Ours.BeginSend(Eight, offset, size, 0, null, null), name);
            Check.Throws<ArgumentOutOfRangeException>(
                () => pair.Ours.BeginSend(Eight, offset, size, 0, out _, null, null), name);
        }
        Check.Equal(0, pair.Ours.EndSend(pair.Ours.BeginSend(Eight, 8, 0, 0, null, null)));
    }

    public static void BeginSend_of_a_list_checks_it()
    {
        using var pair = new Pair();
        IList<ArraySegment<byte>> none = null!;

        Check.Throws<ArgumentNullException>(() => pair.Ours.BeginSend(none, 0, null, null), "buffers");
        Check.Throws<ArgumentException>(() => pair.Ours.BeginSend(new List<ArraySegment<byte>>(), 0, null, null), "buffers");
        Check.Throws<ArgumentNullException>(
            () => pair.Ours.BeginSend(new List<ArraySegment<byte>> { default }, 0, null, null), "segment");
    }

    public static void BeginSend_of_a_list_sends_it_as_one_buffer()
    {
        using var pair = new Pair();
        var list = new List<ArraySegment<byte>> { new(Eight, 0, 3), new(Eight, 3, 0), new(Eight, 3, 5) };

        Check.Equal(8, pair.Ours.EndSend(pair.Ours.BeginSend(list, SocketFlags.None, null, null)));
        Check.Equal(8, pair.Ours.EndSend(pair.Ours.BeginSend(list, SocketFlags.None, out SocketError error, null, null)!));
        Check.Equal(SocketError.Success, error);
        Check.That(pair.Read(8).AsSpan().SequenceEqual(Eight));
        Check.That(pair.Read(8).AsSpan().SequenceEqual(Eight));
    }

    public static void BeginSend_with_invalid_flags_is_a_SocketException()
    {
        using var pair = new Pair();

        Check.Socket(SocketError.OperationNotSupported,
            () => pair.Ours.BeginSend(Eight, 0, 8, (SocketFlags)0x40, null, null));
    }

    public static void BeginSend_without_a_connection_is_a_SocketException()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using var datagrams = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);

        Check.Socket(SocketError.NotConnected, () => socket.BeginSend(Eight, 0, 8, 0, _ => { }, null));
        Check.Socket(SocketError.DestinationAddressRequired, () => datagrams.BeginSend(Eight, 0, 8, 0, null, null));
    }

    public static void BeginSend_with_SocketError_tells_a_failure_at_once_without_a_result_or_a_callback()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        bool called = false;

        Check.That(socket.BeginSend(Eight, 0, 8, 0, out SocketError error, _ => called = true, null) == null);
        Check.Equal(SocketError.NotConnected, error);
        Thread.Sleep(20);
        Check.That(!called);
    }

    public static void BeginSend_with_SocketError_tells_success_when_pending()
    {
        using var pair = new Pair(small: true);

        Check.That(pair.Ours.BeginSend(new byte[5_000_000], 0, 5_000_000, 0, out SocketError error, null, null) != null);
        Check.Equal(SocketError.Success, error);
    }

    public static void BeginSend_of_a_disposed_socket_is_an_ObjectDisposedException()
    {
        using var pair = new Pair();

        pair.Ours.Dispose();
        Check.Throws<ObjectDisposedException>(() => pair.Ours.BeginSend(null!, 0, 0, 0, null, null));
        Check.Throws<ObjectDisposedException>(() => pair.Ours.BeginSend(Eight, 0, 8, 0, out _, null, null));
    }

    public static void BeginSend_callback_runs_on_another_thread_and_not_inside_BeginSend()
    {
        using var pair = new Pair();
        using var ended = new ManualResetEventSlim();
        int mine = Environment.CurrentManagedThreadId, its = mine;

        for (int i = 0; i < 20; i++)
        {
            ended.Reset();
            pair.Ours.BeginSend(Eight, 0, 8, SocketFlags.None, ar =>
            {
                its = Environment.CurrentManagedThreadId;
                pair.Ours.EndSend(ar);
                ended.Set();
            }, null);
            Check.That(ended.Wait(30_000));
            Check.That(its != mine);
        }
    }

    public static void BeginSend_callback_that_blocks_stops_no_other()
    {
        using var pair = new Pair();
        using var release = new ManualResetEventSlim();
        using var others = new CountdownEvent(9);

        for (int i = 0; i < 10; i++)
        {
            bool first = i == 0;

            pair.Ours.BeginSend(Eight, 0, 8, SocketFlags.None, ar =>
            {
                pair.Ours.EndSend(ar);
                if (first)
                    release.Wait();
                else
                    others.Signal();
            }, null);
        }
        Check.That(others.Wait(30_000));
        release.Set();
    }

    public static void BeginSend_in_a_callback_to_any_depth_does_not_nest()
    {
        using var pair = new Pair();
        using var ended = new ManualResetEventSlim();
        Task<long> draining = Task.Run(() => { try { return (long)pair.Read(20_000 * 8).Length; } catch { return -1; } });
        int left = 20_000;

        void Next(IAsyncResult ar)
        {
            pair.Ours.EndSend(ar);
            if (--left == 0)
                ended.Set();
            else
                pair.Ours.BeginSend(Eight, 0, 8, SocketFlags.None, Next, null);
        }

        pair.Ours.BeginSend(Eight, 0, 8, SocketFlags.None, Next, null);
        Check.That(ended.Wait(100_000));
        Check.Equal(160_000L, draining.Result);
    }

    public static void BeginSend_result_has_state_wait_handle_and_completion()
    {
        using var pair = new Pair(small: true);
        object state = new();
        IAsyncResult result = pair.Ours.BeginSend(new byte[5_000_000], 0, 5_000_000, SocketFlags.None, null, state);

        Check.That(ReferenceEquals(state, result.AsyncState));
        Check.That(!result.IsCompleted);
        Check.That(!result.CompletedSynchronously);
        Check.That(!result.AsyncWaitHandle.WaitOne(20));
        Task.Run(() => pair.Read(5_000_000));
        Check.That(result.AsyncWaitHandle.WaitOne(30_000));
        Check.That(result.IsCompleted);
        Check.Equal(5_000_000, pair.Ours.EndSend(result));
        Check.That(result.AsyncWaitHandle.WaitOne(0));
    }

    public static void BeginSend_sends_by_100_results_ended_in_reverse()
    {
        using var pair = new Pair();
        byte[] sent = Bytes.Pattern(100 * 64);
        var results = new IAsyncResult[100];

        for (int i = 0; i < 100; i++)
            results[i] = pair.Ours.BeginSend(sent, i * 64, 64, SocketFlags.None, null, null);
        for (int i = 99; i >= 0; i--)
            Check.Equal(64, pair.Ours.EndSend(results[i]));
        Check.That(pair.Read(sent.Length).AsSpan().SequenceEqual(sent));
    }

    public static void BeginSend_of_datagrams_uses_the_default_remote_and_BeginSendTo_any_other()
    {
        using var one = new System.Net.Sockets.Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        using var two = new System.Net.Sockets.Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        using var sender = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);

        one.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        two.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        sender.Connect(one.LocalEndPoint!);
        Check.Equal(1, sender.EndSend(sender.BeginSend(Eight, 0, 1, 0, null, null)));
        Check.Equal(2, sender.EndSendTo(sender.BeginSendTo(Eight, 0, 2, 0, two.LocalEndPoint!, null, null)));
        sender.Connect(two.LocalEndPoint!);
        Check.Equal(3, sender.EndSend(sender.BeginSend(Eight, 0, 3, 0, null, null)));
        Check.Equal(1, one.Receive(new byte[9]));
        Check.Equal(2, two.Receive(new byte[9]));
        Check.Equal(3, two.Receive(new byte[9]));
    }

    public static void BeginSend_of_a_datagram_over_the_limit_is_MessageSize()
    {
        using var receiver = new System.Net.Sockets.Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        using var sender = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);

        receiver.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        sender.Connect(receiver.LocalEndPoint!);
        Check.Socket(SocketError.MessageSize,
            () => sender.EndSend(sender.BeginSend(new byte[65_508], 0, 65_508, 0, null, null)));
        Check.Equal(65_507, sender.EndSend(sender.BeginSend(new byte[65_507], 0, 65_507, 0, null, null)));
    }

    public static void BeginSend_flows_the_execution_context_to_its_callback()
    {
        using var pair = new Pair();
        using var ended = new ManualResetEventSlim();
        var local = new AsyncLocal<int> { Value = 42 };
        int seen = 0;

        pair.Ours.BeginSend(Eight, 0, 8, SocketFlags.None, ar =>
        {
            seen = local.Value;
            pair.Ours.EndSend(ar);
            ended.Set();
        }, null);
        local.Value = 7;
        Check.That(ended.Wait(30_000));
        Check.Equal(42, seen);
    }

    public static void BeginSend_goes_on_when_its_thread_exits()
    {
        using var pair = new Pair(small: true);
        IAsyncResult? result = null;
        var thread = new Thread(() =>
            result = pair.Ours.BeginSend(new byte[1_000_000], 0, 1_000_000, SocketFlags.None, null, null));

        thread.Start();
        thread.Join();
        Check.Equal(1_000_000, pair.Read(1_000_000).Length);
        Check.Equal(1_000_000, pair.Ours.EndSend(result!));
    }

    // ---- cancel ----

    public static void BeginSend_is_cancelled_by_its_result_and_End_tells_the_bytes_that_went()
    {
        using var pair = new Pair(small: true);
        byte[] bytes = Bytes.Pattern(8 << 20);
        var result = (SluiceAsyncResult)pair.Ours.BeginSend(bytes, 0, bytes.Length, SocketFlags.None, null, null);
        var queued = (SluiceAsyncResult)pair.Ours.BeginSend(bytes, 0, 100, SocketFlags.None, null, null);

        Check.That(queued.Cancel());
        Check.Equal(0, pair.Ours.EndSend(queued, out SocketError error));
        Check.Equal(SocketError.OperationAborted, error);
        Check.That(result.Cancel());

        int went = pair.Ours.EndSend(result, out error);

        Check.Equal(SocketError.OperationAborted, error);
        Check.That(went < bytes.Length);
        Check.That(!result.Cancel());
        pair.Ours.Dispose();
        Check.Equal((long)went, pair.Drain());
    }

    public static void BeginReceive_is_cancelled_by_its_result_and_its_callback_runs()
    {
        using var pair = new Pair();
        using var called = new ManualResetEventSlim();
        byte[] room = new byte[10];
        var result = (SluiceAsyncResult)pair.Ours.BeginReceive(room, 0, 10, SocketFlags.None, _ => called.Set(), null);

        Check.That(result.Cancel());
        Check.That(called.Wait(30_000));
        Check.Socket(SocketError.OperationAborted, () => pair.Ours.EndReceive(result));
        Check.That(!result.Cancel());

        /* The socket goes on. */
        IAsyncResult next = pair.Ours.BeginReceive(room, 0, 10, SocketFlags.None, null, null);

        pair.Peer.Send("hello"u8);
        Check.Equal(5, pair.Ours.EndReceive(next));
    }

    public static void BeginAccept_is_cancelled_by_its_result()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();

        var result = (SluiceAsyncResult)listener.BeginAccept(null, null);

        Check.That(result.Cancel());
        Check.Socket(SocketError.OperationAborted, () => listener.EndAccept(result));
    }

    public static void BeginSend_cancelled_as_it_ends_stops_no_other_operation()
    {
        using var pair = new Pair(small: true);
        Task<long> draining = Task.Run(pair.Drain);
        byte[] bytes = Bytes.Pattern(40_000);
        long total = 0;

        for (int i = 0; i < 500; i++)
        {
            var first = (SluiceAsyncResult)pair.Ours.BeginSend(bytes, 0, bytes.Length, SocketFlags.None, null, null);
            Task cancelling = Task.Run(() => first.Cancel());

            total += pair.Ours.EndSend(first, out _);

            IAsyncResult second = pair.Ours.BeginSend(bytes, 0, bytes.Length, SocketFlags.None, null, null);

            total += pair.Ours.EndSend(second);
            cancelling.Wait();
        }
        pair.Ours.Dispose();
        Check.Equal(total, draining.Result);
    }
}
