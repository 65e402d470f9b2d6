// SPDX-License-Identifier: MIT
using System;
using System.Net;
using System.Threading;
using System.Threading.Tasks;

namespace Sluice.Tests;

/// <summary>The page of Socket.EndSend, sentence by sentence.</summary>
public static class EndSendTests
{
    private static readonly byte[] Five = [1, 2, 3, 4, 5];

    public static void EndSend_returns_the_number_of_bytes_sent()
    {
        using var pair = new Pair();
        IAsyncResult result = pair.Ours.BeginSend(Five, 1, 4, SocketFlags.None, null, null);

        Check.Equal(4, pair.Ours.EndSend(result));
        Check.That(pair.Read(4).AsSpan().SequenceEqual(Five.AsSpan(1)));
    }

    public static void EndSend_of_null_is_an_ArgumentNullException()
    {
        using var pair = new Pair();

        Check.Throws<ArgumentNullException>(() => pair.Ours.EndSend(null!), "asyncResult");
        Check.Throws<ArgumentNullException>(() => pair.Ours.EndSend(null!, out _), "asyncResult");
    }

    public static void EndSend_of_what_is_not_this_sockets_send_is_an_ArgumentException_and_it_stays_usable()
    {
        using var pair = new Pair();
        using var other = new Pair();
        IAsyncResult result = other.Ours.BeginSend(Five, 0, 5, SocketFlags.None, null, null);

        Check.Throws<ArgumentException>(() => pair.Ours.EndSend(result), "asyncResult");
        Check.Throws<ArgumentException>(() => other.Ours.EndSendTo(result), "asyncResult");
        Check.Throws<ArgumentException>(() => other.Ours.EndReceive(result), "asyncResult");
        Check.Throws<ArgumentException>(() => other.Ours.EndSendFile(result), "asyncResult");
        Check.Throws<ArgumentException>(() => pair.Ours.EndSend(Task.CompletedTask), "asyncResult");
        Check.Equal(5, other.Ours.EndSend(result));
    }

    public static void EndSend_called_twice_is_an_InvalidOperationException()
    {
        using var pair = new Pair();
        IAsyncResult result = pair.Ours.BeginSend(Five, 0, 5, SocketFlags.None, null, null);

        pair.Ours.EndSend(result);
        Check.Throws<InvalidOperationException>(() => pair.Ours.EndSend(result));
        Check.Throws<InvalidOperationException>(() => pair.Ours.EndSend(result, out _));
    }

    public static void EndSend_of_a_disposed_socket_is_an_ObjectDisposedException()
    {
        using var pair = new Pair();
        IAsyncResult result = pair.Ours.BeginSend(Five, 0, 5, SocketFlags.None, null, null);

        pair.Ours.Dispose();
        Check.Throws<ObjectDisposedException>(() => pair.Ours.EndSend(result));
    }

    public static void EndSend_that_waits_while_the_socket_is_closed_is_an_ObjectDisposedException()
    {
        using var pair = new Pair(small: true);
        IAsyncResult result = pair.Ours.BeginSend(new byte[10_000_000], 0, 10_000_000, SocketFlags.None, null, null);
        var closer = new Thread(() =>
        {
            Thread.Sleep(50);
            pair.Ours.Dispose();
        });

        closer.Start();
        Check.Throws<ObjectDisposedException>(() => pair.Ours.EndSend(result));
        Check.That(result.IsCompleted);
        closer.Join();
    }

    public static void EndSend_tells_a_SocketException_with_its_code_and_its_bytes()
    {
        using var pair = new Pair(small: true);
        IAsyncResult result = pair.Ours.BeginSend(new byte[10_000_000], 0, 10_000_000, SocketFlags.None, null, null);

        pair.Read(1);
        pair.Reset();

        var exception = (SluiceSocketException)Check.Throws<SocketException>(() => pair.Ours.EndSend(result));

        Check.Equal(SocketError.ConnectionReset, exception.SocketErrorCode);
        Check.Equal(104, exception.ErrorCode);
        Check.That(exception.BytesTransferred > 0);
    }

    public static void EndSend_with_SocketError_tells_it_instead()
    {
        using var pair = new Pair(small: true);
        IAsyncResult result = pair.Ours.BeginSend(new byte[10_000_000], 0, 10_000_000, SocketFlags.None, null, null);

        pair.Read(1);
        pair.Reset();

        int bytes = pair.Ours.EndSend(result, out SocketError error);

        Check.Equal(SocketError.ConnectionReset, error);
        Check.That(bytes > 0 && bytes < 10_000_000);
    }

    public static void EndSend_blocks_until_every_byte_was_taken()
    {
        using var pair = new Pair(small: true);
        byte[] sent = Bytes.Pattern(3_000_000);
        Task<byte[]> reading = Task.Run(() => pair.Read(sent.Length));
        IAsyncResult result = pair.Ours.BeginSend(sent, 0, sent.Length, SocketFlags.None, null, null);

        Check.Equal(sent.Length, pair.Ours.EndSend(result));
        Check.That(reading.Result.AsSpan().SequenceEqual(sent));
    }

    public static void EndSend_blocks_until_the_datagram_is_sent()
    {
        using var receiver = new System.Net.Sockets.Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        using var sender = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);

        receiver.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        sender.Connect(receiver.LocalEndPoint!);

        IAsyncResult result = sender.BeginSend(Five, 0, 5, SocketFlags.None, null, null);

        Check.Equal(5, sender.EndSend(result));
        Check.Equal(5, receiver.Receive(new byte[9]));
    }

    public static void EndSend_in_its_callback_gets_the_result_from_AsyncState_and_never_blocks()
    {
        using var pair = new Pair();
        using var ended = new ManualResetEventSlim();
        int bytes = 0;
        IAsyncResult? seen = null;
        IAsyncResult result = pair.Ours.BeginSend(Five, 0, 5, SocketFlags.None, ar =>
        {
            seen = ar;
            bytes = ((Socket)ar.AsyncState!).EndSend(ar);
            ended.Set();
        }, pair.Ours);

        Check.That(ended.Wait(30_000));
        Check.Equal(5, bytes);
        Check.That(ReferenceEquals(result, seen));
    }

    public static void EndSend_on_the_engines_thread_before_the_end_is_an_InvalidOperationException()
    {
        using var pair = new Pair(small: true);
        using var ended = new ManualResetEventSlim();
        IAsyncResult result = pair.Ours.BeginSend(new byte[10_000_000], 0, 10_000_000, SocketFlags.None, null, null);
        Exception? failure = null;

        pair.Ours.Engine.Post(_ =>
        {
            try
            {
                pair.Ours.EndSend(result);
            }
            catch (Exception exception)
            {
                failure = exception;
            }
            ended.Set();
        }, null);
        Check.That(ended.Wait(30_000));
        Check.That(failure is InvalidOperationException);
        Check.That(!result.IsCompleted);
    }
}
