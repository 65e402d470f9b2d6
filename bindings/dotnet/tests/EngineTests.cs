// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Threading;
using System.Threading.Tasks;
using NetSocket = System.Net.Sockets.Socket;

namespace Sluice.Tests;

/// <summary>What is beyond System.Net.Sockets: engines, value tasks, flow control, no allocation.</summary>
public static class EngineTests
{
    public static void Several_engines_run_their_sockets_on_threads_of_their_own()
    {
        using var one = new SluiceEngine(new SluiceEngineOptions { Name = "one", Completion = SluiceCompletion.EngineThread });
        using var two = new SluiceEngine(new SluiceEngineOptions { Name = "two", Completion = SluiceCompletion.EngineThread });

        Check.Equal("one", ThreadOfHandler(one));
        Check.Equal("two", ThreadOfHandler(two));
    }

    private static string? ThreadOfHandler(SluiceEngine engine)
    {
        using var pair = new Pair(small: true, engine);
        using var args = new SocketAsyncEventArgs();
        using var ended = new ManualResetEventSlim();
        string? name = null;

        args.SetBuffer(new byte[1_000_000], 0, 1_000_000);
        args.Completed += (_, _) =>
        {
            name = engine.IsCurrentThread ? Thread.CurrentThread.Name : "another";
            ended.Set();
        };
        Check.That(pair.Ours.SendAsync(args));
        pair.Read(1_000_000);
        Check.That(ended.Wait(30_000));
        return name;
    }

    public static async Task Completion_on_the_pool_is_the_default()
    {
        using var pair = new Pair(small: true);
        ValueTask<int> sending = pair.Ours.SendAsync(new byte[1_000_000].AsMemory());
        Task reading = Task.Run(async () =>
        {
            await Task.Delay(20);
            pair.Read(1_000_000);
        });

        await sending.ConfigureAwait(false);
        Check.That(Thread.CurrentThread.IsThreadPoolThread);
        await reading;
    }

    public static async Task Disposing_an_engine_ends_what_is_pending_and_its_sockets()
    {
        var engine = new SluiceEngine();
        using var pair = new Pair(small: true, engine);
        ValueTask<int> sending = pair.Ours.SendAsync(new byte[5_000_000].AsMemory());

        engine.Dispose();
        SocketException failure = await Check.ThrowsAsync<SocketException>(() => sending.AsTask());

        Check.Equal(SocketError.OperationAborted, failure.SocketErrorCode);
        Check.Throws<ObjectDisposedException>(() => pair.Ours.SendAsync(new byte[1].AsMemory()).AsTask().Wait());
        Check.Throws<ObjectDisposedException>(() => engine.Post(_ => { }, null));
        engine.Dispose();
    }

    public static void An_engine_is_not_disposed_on_its_own_thread()
    {
        using var engine = new SluiceEngine();
        using var ended = new ManualResetEventSlim();
        Exception? failure = null;

        engine.Post(_ =>
        {
            try
            {
                engine.Dispose();
            }
            catch (Exception exception)
            {
                failure = exception;
            }
            ended.Set();
        }, null);
        Check.That(ended.Wait(30_000));
        Check.That(failure is InvalidOperationException);
    }

    public static async Task A_connected_socket_of_the_runtime_becomes_one_of_an_engine()
    {
        using var pair = new Pair();

        Check.That(pair.Ours.Connected);
        Check.Equal(5, await pair.Ours.SendAsync("hello"u8.ToArray().AsMemory()));
        Check.Equal(pair.Peer.LocalEndPoint, pair.Ours.RemoteEndPoint);
        Check.Equal(pair.Peer.RemoteEndPoint, pair.Ours.LocalEndPoint);
        pair.Ours.NoDelay = true;
        Check.That(pair.Ours.NoDelay);
        Check.Equal(5, pair.Read(5).Length);
    }

    // ---- awaited ----

    public static async Task Sends_and_receives_are_awaited()
    {
        using var pair = new Pair();
        byte[] sent = Bytes.Pattern(3_000_000);
        Task<byte[]> reading = Task.Run(() => pair.Read(sent.Length));

        Check.Equal(sent.Length, await pair.Ours.SendAsync(sent.AsMemory()));
        Check.That((await reading).AsSpan().SequenceEqual(sent));
        pair.Peer.Send(sent, 0, 100, SocketFlags.None);

        var got = new byte[200];

        Check.Equal(100, await pair.Ours.ReceiveAsync(got.AsMemory()));
        Check.That(got.AsSpan(0, 100).SequenceEqual(sent.AsSpan(0, 100)));
        pair.Peer.Shutdown(SocketShutdown.Send);
        Check.Equal(0, await pair.Ours.ReceiveAsync(got.AsMemory()));
    }

    public static async Task A_token_that_was_cancelled_before_starts_nothing()
    {
        using var pair = new Pair();

        await Check.ThrowsAsync<OperationCanceledException>(
            () => pair.Ours.SendAsync(new byte[8], new CancellationToken(true)).AsTask());
        Check.Equal(0, pair.Peer.Available);
    }

    public static async Task A_token_cancels_one_operation_and_the_others_go_on()
    {
        using var pair = new Pair(small: true);
        using var source = new CancellationTokenSource();
        Task<int> head = pair.Ours.SendAsync(new byte[3_000_000].AsMemory()).AsTask();
        Task<int> second = pair.Ours.SendAsync(new byte[1000], source.Token).AsTask();
        Task<int> third = pair.Ours.SendAsync(new byte[500].AsMemory()).AsTask();

        source.Cancel();
        OperationCanceledException failure = await Check.ThrowsAsync<OperationCanceledException>(() => second);

        Check.Equal(source.Token, failure.CancellationToken);
        Check.That(second.IsCanceled);
        pair.Read(3_000_500);
        Check.Equal(3_000_000, await head);
        Check.Equal(500, await third);
    }

    public static async Task A_hundred_sends_into_a_small_buffer_are_all_cancelled()
    {
        using var pair = new Pair(small: true);
        using var source = new CancellationTokenSource();
        Task<int>[] sends = Enumerable.Range(0, 100)
            .Select(_ => pair.Ours.SendAsync(new byte[100_000], source.Token).AsTask()).ToArray();

        source.CancelAfter(20);
        try
        {
            await Task.WhenAll(sends);
        }
        catch (OperationCanceledException)
        {
        }
        Check.That(sends.All(send => send.IsCanceled || send.IsCompletedSuccessfully));
        Check.That(sends[99].IsCanceled);
    }

    public static async Task A_timeout_ends_a_send_with_TimedOut_and_its_bytes()
    {
        using var pair = new Pair(small: true);
        var failure = (SluiceSocketException)await Check.ThrowsAsync<SocketException>(
            () => pair.Ours.SendAsync(new byte[3_000_000], TimeSpan.FromMilliseconds(50)).AsTask());

        Check.Equal(SocketError.TimedOut, failure.SocketErrorCode);
        Check.That(failure.BytesTransferred > 0);
        failure = (SluiceSocketException)await Check.ThrowsAsync<SocketException>(
            () => pair.Ours.ReceiveAsync(new byte[1], TimeSpan.FromMilliseconds(20)).AsTask());
        Check.Equal(SocketError.TimedOut, failure.SocketErrorCode);
    }

    public static async Task Accept_connect_and_disconnect_are_awaited()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using var client = new Socket(SocketType.Stream, ProtocolType.Tcp);

        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();

        int port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        Task<Socket> accepting = listener.AcceptAsync();

        await client.ConnectAsync("localhost", port);
        using Socket server = await accepting;

        Check.That(client.Connected && server.Connected);
        Check.Equal(port, ((IPEndPoint)client.RemoteEndPoint!).Port);
        Check.Equal(((IPEndPoint)client.LocalEndPoint!).Port, ((IPEndPoint)server.RemoteEndPoint!).Port);
        Check.Equal(3, await client.SendAsync(new byte[3].AsMemory()));
        await client.DisconnectAsync(reuseSocket: false);
        Check.That(!client.Connected);
        Check.Equal(3, await server.ReceiveAsync(new byte[9].AsMemory()));
        Check.Equal(0, await server.ReceiveAsync(new byte[9].AsMemory()));
        Check.Socket(SocketError.Shutdown, () => client.SendAsync(new byte[1].AsMemory()).AsTask().GetAwaiter().GetResult());
    }

    public static async Task A_connect_that_is_refused_tells_it_and_the_socket_connects_again()
    {
        using var listener = new NetSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        SocketException failure = await Check.ThrowsAsync<SocketException>(() => client.ConnectAsync(listener.LocalEndPoint!));

        Check.Equal(SocketError.ConnectionRefused, failure.SocketErrorCode);
        listener.Listen();
        await client.ConnectAsync(listener.LocalEndPoint!);
        Check.That(client.Connected);
        failure = await Check.ThrowsAsync<SocketException>(() => client.ConnectAsync(listener.LocalEndPoint!));
        Check.Equal(SocketError.IsConnected, failure.SocketErrorCode);
    }

    public static void What_waits_works_as_in_System_Net_Sockets()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(10);
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        client.Connect(listener.LocalEndPoint!);
        using Socket server = listener.Accept();

        Check.Equal(4, client.Send([1, 2, 3, 4]));
        Check.Equal(4, server.Receive(new byte[10]));
        server.ReceiveTimeout = 20;
        Check.Socket(SocketError.TimedOut, () => server.Receive(new byte[10]));
        Check.Equal(0, server.Receive(new byte[10], 0, 10, SocketFlags.None, out SocketError error));
        Check.Equal(SocketError.TimedOut, error);
        client.Shutdown(SocketShutdown.Send);
        Check.Equal(0, server.Receive(new byte[10]));
        Check.Throws<InvalidOperationException>(() => client.Accept());
    }

    public static void An_accept_by_args_and_by_Begin_gives_a_socket()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using var args = new SocketAsyncEventArgs();
        using var ended = new ManualResetEventSlim();

        Check.Throws<InvalidOperationException>(() => listener.AcceptAsync(args));
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        args.Completed += (_, _) => ended.Set();

        bool pending = listener.AcceptAsync(args);
        IAsyncResult result = listener.BeginAccept(null, null);
        using var one = new NetSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using var two = new NetSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        one.Connect(listener.LocalEndPoint!);
        two.Connect(listener.LocalEndPoint!);
        Check.That(!pending || ended.Wait(30_000));
        using Socket first = args.AcceptSocket!;
        using Socket second = listener.EndAccept(result);

        Check.Equal(one.LocalEndPoint, first.RemoteEndPoint);
        Check.Equal(two.LocalEndPoint, second.RemoteEndPoint);
    }

    public static async Task Datagrams_are_received_with_their_sender()
    {
        using var receiver = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        using var sender = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);

        receiver.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        for (int i = 0; i < 101; i++)
            Check.Equal(256, await sender.SendToAsync(new byte[256], receiver.LocalEndPoint!));
        for (int i = 0; i < 100; i++)
        {
            SocketReceiveFromResult result =
                await receiver.ReceiveFromAsync(new byte[300], new IPEndPoint(IPAddress.Any, 0));

            Check.Equal(256, result.ReceivedBytes);
            Check.Equal(((IPEndPoint)sender.LocalEndPoint!).Port, ((IPEndPoint)result.RemoteEndPoint).Port);
        }
        EndPoint from = new IPEndPoint(IPAddress.Any, 0);

        Check.Socket(SocketError.MessageSize, () => receiver.ReceiveFrom(new byte[10], ref from));
    }

    // ---- together ----

    public static async Task A_batch_leaves_together()
    {
        using var pair = new Pair();
        var sends = new Task<int>[32];

        using (pair.Ours.Engine.Batch())
        {
            for (int i = 0; i < sends.Length; i++)
                sends[i] = pair.Ours.SendAsync(new byte[] { (byte)i }.AsMemory()).AsTask();
        }
        await Task.WhenAll(sends);
        byte[] got = pair.Read(32);

        for (int i = 0; i < 32; i++)
            Check.Equal((byte)i, got[i]);
    }

    public static async Task SendMany_sends_one_buffer_to_many_sockets_as_one_operation()
    {
        Pair[] pairs = Enumerable.Range(0, 20).Select(_ => new Pair()).ToArray();
        Socket[] sockets = pairs.Select(pair => pair.Ours).ToArray();
        byte[] sent = Bytes.Pattern(1000);

        for (int round = 0; round < 3; round++)
        {
            Check.Equal(20, await Socket.SendManyAsync(sockets, sent));
            Check.That(pairs.All(pair => pair.Read(1000).AsSpan().SequenceEqual(sent)));
        }
        sockets[3].Dispose();
        Check.Equal(19, await Socket.SendManyAsync(sockets, sent));
        Check.Equal(0, await Socket.SendManyAsync([], sent));
        foreach (Pair pair in pairs)
            pair.Dispose();
    }

    public static async Task WaitToSend_waits_for_the_low_mark()
    {
        using var pair = new Pair(small: true);

        Check.That(await pair.Ours.WaitToSendAsync());
        pair.Ours.SetWaterMarks(100_000, 1_000_000);
        Task<int> sending = pair.Ours.SendAsync(new byte[5_000_000].AsMemory()).AsTask();
        ValueTask<bool> waiting = pair.Ours.WaitToSendAsync();

        await Task.Delay(20);
        Check.That(!waiting.IsCompleted);
        await Task.Run(() => pair.Read(5_000_000));
        Check.That(await waiting);
        Check.That(pair.Ours.QueuedBytes <= 100_000);
        Check.Equal(5_000_000, await sending);
    }

    public static async Task WaitToSend_is_false_when_the_socket_is_closed()
    {
        using var pair = new Pair(small: true);

        pair.Ours.SetWaterMarks(100_000, 1_000_000);
        Task<int> sending = pair.Ours.SendAsync(new byte[5_000_000].AsMemory()).AsTask();
        ValueTask<bool> waiting = pair.Ours.WaitToSendAsync();

        pair.Ours.Dispose();
        Check.That(!await waiting);
        await Check.ThrowsAsync<SocketException>(() => sending);
        Check.That(!await pair.Ours.WaitToSendAsync());
    }

    public static async Task A_limit_refuses_with_NoBufferSpaceAvailable()
    {
        using var pair = new Pair(small: true);

        pair.Ours.SetWaterMarks(1, 2, 6_000_000);
        Task<int> sending = pair.Ours.SendAsync(new byte[5_000_000].AsMemory()).AsTask();
        var queued = new TaskCompletionSource();

        pair.Ours.Engine.Post(_ => queued.SetResult(), null);
        await queued.Task;
        SocketException failure = await Check.ThrowsAsync<SocketException>(
            async () => await pair.Ours.SendAsync(new byte[5_000_000].AsMemory()));

        Check.Equal(SocketError.NoBufferSpaceAvailable, failure.SocketErrorCode);
        Check.That(!sending.IsCompleted);
    }

    public static async Task CloseAsync_ends_when_the_port_is_free()
    {
        using var listener = new NetSocket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);

        for (int i = 0; i < 20; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);

            socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            ValueTask<int> receiving = socket.ReceiveAsync(new byte[10].AsMemory());
            EndPoint address = socket.LocalEndPoint!;

            await socket.CloseAsync();
            using var next = new NetSocket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);

            next.Bind(address);
            await Check.ThrowsAsync<SocketException>(() => receiving.AsTask());
        }
    }

    public static async Task CloseAsync_with_a_time_sends_the_queue_first()
    {
        using var pair = new Pair(small: true);
        Task<int> sending = pair.Ours.SendAsync(new byte[3_000_000].AsMemory()).AsTask();
        Task closing = pair.Ours.CloseAsync(TimeSpan.FromSeconds(30));
        long drained = await Task.Run(pair.Drain);

        Check.Equal(3_000_000L, drained);
        await closing;
        Check.Equal(3_000_000, await sending);
        Check.Throws<ObjectDisposedException>(() => pair.Ours.Send([1]));
    }

    public static async Task An_operation_that_was_given_up_half_sent_can_end_the_stream()
    {
        using var pair = new Pair(small: true);
        using var source = new CancellationTokenSource();

        pair.Ours.SetEndOnGiveUp(true);
        Task<int> head = pair.Ours.SendAsync(new byte[3_000_000], source.Token).AsTask();
        Task<int> behind = pair.Ours.SendAsync(new byte[500].AsMemory()).AsTask();

        await Task.Run(() => pair.Read(1));
        source.Cancel();
        await Check.ThrowsAsync<OperationCanceledException>(() => head);
        await Check.ThrowsAsync<SocketException>(() => behind);
    }

    public static async Task The_unsent_bytes_and_the_rate_are_the_kernels_options()
    {
        const int solSocket = 1, soMaxPacingRate = 47, tcp = 6, tcpNotSentLowAt = 25;
        using var pair = new Pair();
        var turn = new TaskCompletionSource();

        pair.Ours.SetRate(1_000_000);
        pair.Ours.SetUnsentLow(65536);
        pair.Ours.Engine.Post(state => ((TaskCompletionSource)state!).SetResult(), turn);
        await turn.Task;
        Check.Equal(1_000_000, Raw(pair.Ours, solSocket, soMaxPacingRate));
        Check.Equal(65536, Raw(pair.Ours, tcp, tcpNotSentLowAt));
        Check.Throws<ArgumentOutOfRangeException>(() => pair.Ours.SetRate(-1));
        Check.Throws<ArgumentOutOfRangeException>(() => pair.Ours.SetUnsentLow(-1));
    }

    private static int Raw(Socket socket, int level, int name)
    {
        Span<byte> value = stackalloc byte[4];

        socket.GetRawSocketOption(level, name, value);
        return BitConverter.ToInt32(value);
    }

    public static async Task With_a_wait_budget_everything_arrives()
    {
        using var engine = new SluiceEngine(new SluiceEngineOptions { WaitBudget = TimeSpan.FromMilliseconds(0.02) });
        using var pair = new Pair(engine: engine);

        for (int i = 0; i < 100; i++)
            Check.Equal(5, await pair.Ours.SendAsync("hello"u8.ToArray().AsMemory()));
        pair.Read(500);
    }

    // ---- memory ----

    public static void Sends_allocate_nothing_on_the_thread_that_starts_them()
    {
        using var pair = new Pair();
        byte[] buffer = GC.AllocateArray<byte>(64, pinned: true);
        using var reading = new CancellationTokenSource();
        Task drain = Task.Run(pair.Drain);
        using var args = new SocketAsyncEventArgs();
        using var ended = new SemaphoreSlim(0);

        args.SetBuffer(buffer, 0, 64);
        args.Completed += (_, _) => ended.Release();

        void Args()
        {
            if (pair.Ours.SendAsync(args))
                ended.Wait();
        }

        void Value()
        {
            ValueTask<int> sending = pair.Ours.SendAsync(buffer.AsMemory());

            while (!sending.IsCompleted)
                Thread.Yield();
            sending.GetAwaiter().GetResult();
        }

        void Sync() => pair.Ours.Send(buffer.AsSpan());

        foreach ((string name, Action send) in new (string, Action)[] { ("args", Args), ("value", Value), ("sync", Sync) })
        {
            for (int i = 0; i < 200; i++)
                send();

            long before = GC.GetAllocatedBytesForCurrentThread();

            for (int i = 0; i < 1000; i++)
                send();

            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

            /* A wait of SemaphoreSlim may allocate once. */
            if (allocated > 1000)
                throw new InvalidOperationException($"{name}: {allocated} bytes for 1,000 sends");
        }
        pair.Ours.Dispose();
        drain.Wait();
    }

    public static void Sends_and_receives_on_the_engines_thread_allocate_nothing()
    {
        using var engine = new SluiceEngine(new SluiceEngineOptions { Completion = SluiceCompletion.EngineThread });
        using var pair = new Pair(engine: engine);
        using var ended = new ManualResetEventSlim();
        Task drain = Task.Run(pair.Drain);
        byte[] buffer = new byte[64];
        SocketAsyncEventArgs[] args = Enumerable.Range(0, 32).Select(_ => new SocketAsyncEventArgs()).ToArray();
        int left = 64_000, warm = 32_000;
        long before = 0, allocated = -1;

        void Completed(object? sender, SocketAsyncEventArgs e)
        {
            left--;
            if (left == warm)
                before = GC.GetAllocatedBytesForCurrentThread();
            if (left == 0)
            {
                allocated = GC.GetAllocatedBytesForCurrentThread() - before;
                ended.Set();
            }
            if (left > 0)
                pair.Ours.SendAsync(e);
        }

        foreach (SocketAsyncEventArgs e in args)
        {
            e.SetBuffer(buffer, 0, 64);
            e.Completed += Completed;
        }
        engine.Post(_ =>
        {
            foreach (SocketAsyncEventArgs e in args)
                pair.Ours.SendAsync(e);
        }, null);
        Check.That(ended.Wait(60_000));
        /* 32,000 operations: not a byte for each. */
        Check.That(allocated < 32_000);
        pair.Ours.Dispose();
        drain.Wait();
    }

    /* Of all threads: bytes allocated by COUNT operations after as many to warm up. */
    private static long Allocated(int count, Func<ValueTask<int>> operation) =>
        Allocating(count, operation).GetAwaiter().GetResult();

    private static async Task<long> Allocating(int count, Func<ValueTask<int>> operation)
    {
        for (int i = 0; i < count; i++)
            await operation();

        long before = GC.GetTotalAllocatedBytes(precise: true);

        for (int i = 0; i < count; i++)
            await operation();
        return GC.GetTotalAllocatedBytes(precise: true) - before;
    }

    /* Less than two bytes an operation: what the runtime allocates now and then, and no object of an operation. */
    private static void AllocatesNothing(int count, long bytes, string what)
    {
        if (bytes > 2 * count)
            throw new InvalidOperationException($"{what}: {bytes} bytes for {count} operations");
    }

    public static void Awaited_sends_allocate_nothing_on_any_thread()
    {
        const int Count = 20_000;

        foreach (SluiceCompletion completion in Enum.GetValues<SluiceCompletion>())
        {
            using var engine = new SluiceEngine(new SluiceEngineOptions { Completion = completion });
            using var pair = new Pair(engine: engine);
            using var source = new CancellationTokenSource();
            CancellationToken token = source.Token;
            byte[] buffer = new byte[64];
            var drain = new Thread(() => pair.Drain());

            drain.Start();
            AllocatesNothing(Count, Allocated(Count, () => pair.Ours.SendAsync(buffer.AsMemory())),
                $"{completion}");
            AllocatesNothing(Count,
                Allocated(Count, () => pair.Ours.SendAsync(buffer.AsMemory(), TimeSpan.FromSeconds(60), token)),
                $"{completion}, with a timeout and a token");
            AllocatesNothing(Count,
                Allocated(Count, () => pair.Ours.SendAsync(buffer.AsMemory(), SluiceFlags.Batched, token)),
                $"{completion}, pending");
            pair.Ours.Dispose();
            drain.Join();
        }
    }

    public static void SendMany_allocates_nothing_on_any_thread()
    {
        const int Count = 5_000;

        using var engine = new SluiceEngine();
        Pair[] pairs = Enumerable.Range(0, 8).Select(_ => new Pair(engine: engine)).ToArray();
        Socket[] sockets = pairs.Select(pair => pair.Ours).ToArray();
        Thread[] drains = pairs.Select(pair => new Thread(() => pair.Drain())).ToArray();
        byte[] buffer = new byte[64];

        foreach (Thread drain in drains)
            drain.Start();
        AllocatesNothing(Count, Allocated(Count, () => Socket.SendManyAsync(sockets, buffer)), "SendMany");
        foreach (Socket socket in sockets)
            socket.Dispose();
        foreach (Thread drain in drains)
            drain.Join();
    }

    public static void A_Begin_allocates_its_result_alone()
    {
        const int Count = 5_000, ResultBytes = 120;

        using var pair = new Pair();
        byte[] buffer = new byte[64];
        var drain = new Thread(() => pair.Drain());
        long before = 0;

        drain.Start();
        for (int i = -Count; i < Count; i++)
        {
            if (i == 0)
                before = GC.GetTotalAllocatedBytes(precise: true);
            pair.Ours.EndSend(pair.Ours.BeginSend(buffer, 0, 64, SocketFlags.None, null, null));
        }
        AllocatesNothing(Count, GC.GetTotalAllocatedBytes(precise: true) - before - Count * ResultBytes, "Begin");
        pair.Ours.Dispose();
        drain.Join();
    }

    public static void Sockets_that_are_dropped_are_closed_by_the_collector()
    {
        using var pair = new Pair();
        Task<long> draining = Task.Run(pair.Drain);

        Drop();
        long end = Environment.TickCount64 + 30_000;
        var peers = s_peers;

        while (peers.Any(peer => !peer.Poll(0, SelectMode.SelectRead)) && Environment.TickCount64 < end)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            Thread.Sleep(5);
        }
        Check.That(peers.All(peer => peer.Receive(new byte[1]) == 0));
        pair.Ours.Dispose();
        draining.Wait();
    }

    private static readonly List<NetSocket> s_peers = new();

    private static void Drop()
    {
        for (int i = 0; i < 10; i++)
            s_peers.Add(new Pair().Peer);
    }

    public static async Task Sends_that_race_a_close_all_end()
    {
        for (int round = 0; round < 50; round++)
        {
            using var pair = new Pair(small: true);
            Task[] senders = Enumerable.Range(0, 2).Select(_ => Task.Run(async () =>
            {
                var buffer = new byte[10_000];

                try
                {
                    while (true)
                        await pair.Ours.SendAsync(buffer.AsMemory());
                }
                catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
                {
                }
            })).ToArray();

            Thread.Sleep(1);
            pair.Ours.Dispose();
            await Task.WhenAll(senders).WaitAsync(TimeSpan.FromSeconds(30));
        }
    }
}
