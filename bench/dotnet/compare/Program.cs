// SPDX-License-Identifier: MIT
// Sends of 64 bytes by System.Net.Sockets and by the package Sluice, in one process and in turns. Prints, for
// each way, nanoseconds of wall time and of CPU time a send, the median of the rounds, and the ratio to
// System.Net.Sockets' own of the same load.
//
//   Compare [ROUNDS [SENDS]]
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

int rounds = args.Length > 0 ? int.Parse(args[0]) : 15;
int sends = args.Length > 1 ? int.Parse(args[1]) : 20_000;
using var engine = new Sluice.SluiceEngine(new Sluice.SluiceEngineOptions { Name = "pool" });
using var inline = new Sluice.SluiceEngine(new Sluice.SluiceEngineOptions
{
    Name = "inline",
    Completion = Sluice.SluiceCompletion.EngineThread,
});
(string Load, IWay[] Ways)[] loads =
[
    ("32 outstanding", [new NetArgs(32), new SluiceArgs(32, engine), new SluiceArgs(32, inline)]),
    ("one by one", [new NetArgs(1), new SluiceArgs(1, engine), new SluiceArgs(1, inline)]),
    ("awaited one by one", [new NetAwait(), new SluiceAwait(engine), new SluiceAwait(inline)]),
];

Console.WriteLine($"{rounds} rounds of {sends} sends of 64 bytes; backend {engine.Backend}");
foreach ((string load, IWay[] ways) in loads)
{
    var wall = new double[ways.Length][];
    var cpu = new double[ways.Length][];

    for (int way = 0; way < ways.Length; way++)
    {
        wall[way] = new double[rounds];
        cpu[way] = new double[rounds];
        ways[way].Run(sends);
    }
    for (int round = 0; round < rounds; round++)
    {
        for (int way = 0; way < ways.Length; way++)
        {
            TimeSpan before = Process.GetCurrentProcess().TotalProcessorTime;
            long start = Stopwatch.GetTimestamp();

            ways[way].Run(sends);
            wall[way][round] = Stopwatch.GetElapsedTime(start).TotalNanoseconds / sends;
            cpu[way][round] = (Process.GetCurrentProcess().TotalProcessorTime - before).TotalNanoseconds / sends;
        }
    }
    for (int way = 0; way < ways.Length; way++)
    {
        double[] ratios = wall[way].Zip(wall[0], (its, first) => its / first).Order().ToArray();
        double[] cpuRatios = cpu[way].Zip(cpu[0], (its, first) => its / first).Order().ToArray();

        Console.WriteLine($"{load,-20} {ways[way].Name,-32} {Median(wall[way]),8:F0} ns, CPU {Median(cpu[way]),8:F0} ns; " +
                          $"ratio {ratios[rounds / 2]:F3} [{ratios[rounds / 10]:F3}, {ratios[rounds - 1 - rounds / 10]:F3}], " +
                          $"CPU {cpuRatios[rounds / 2]:F3}");
    }
}

static double Median(double[] values) => values.Order().ElementAt(values.Length / 2);

interface IWay
{
    string Name { get; }

    void Run(int sends);
}

/// <summary>Two connected sockets, and a thread that discards what comes.</summary>
static class Link
{
    public static Socket Make()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        var sender = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        sender.NoDelay = true;
        sender.SendBufferSize = 2 << 20;
        listener.ReceiveBufferSize = 2 << 20;
        sender.Connect(listener.LocalEndPoint!);

        Socket receiver = listener.Accept();

        new Thread(() =>
        {
            var room = new byte[1 << 20];

            // It naps, so that no send wakes anybody: the cheapest of receivers, for all alike.
            while (receiver.Receive(room) > 0)
                Thread.Sleep(1);
        })
        { IsBackground = true }.Start();
        return sender;
    }
}

/// <summary>Records that are started again as soon as they end, until enough were.</summary>
abstract class Outstanding<TArgs>
{
    private readonly ManualResetEventSlim _ended = new();
    private int _left;
    private int _out;

    protected abstract bool Start(TArgs args);

    protected abstract void Post(Action action);

    protected void Completed(TArgs args)
    {
        while (Interlocked.Decrement(ref _left) >= 0)
        {
            if (Start(args))
                return;
        }
        if (Interlocked.Decrement(ref _out) == 0)
            _ended.Set();
    }

    protected void Run(TArgs[] all, int sends)
    {
        _ended.Reset();
        _left = sends;
        _out = all.Length;
        Post(() =>
        {
            foreach (TArgs args in all)
                Completed(args);
        });
        _ended.Wait();
    }
}

sealed class NetArgs : Outstanding<SocketAsyncEventArgs>, IWay
{
    private readonly Socket _socket = Link.Make();
    private readonly SocketAsyncEventArgs[] _args;

    public NetArgs(int outstanding)
    {
        _args = new SocketAsyncEventArgs[outstanding];
        for (int i = 0; i < outstanding; i++)
        {
            _args[i] = new SocketAsyncEventArgs();
            _args[i].SetBuffer(new byte[64], 0, 64);
            _args[i].Completed += (_, e) => Completed(e);
        }
    }

    public string Name => "System.Net.Sockets";

    protected override bool Start(SocketAsyncEventArgs args) => _socket.SendAsync(args);

    protected override void Post(Action action) => ThreadPool.UnsafeQueueUserWorkItem(_ => action(), null);

    public void Run(int sends) => Run(_args, sends);
}

sealed class SluiceArgs : Outstanding<Sluice.SocketAsyncEventArgs>, IWay
{
    private readonly Sluice.Socket _socket;
    private readonly Sluice.SocketAsyncEventArgs[] _args;
    private readonly bool _isBatched;

    public SluiceArgs(int outstanding, Sluice.SluiceEngine engine)
    {
        _socket = new Sluice.Socket(Link.Make(), engine);
        _isBatched = outstanding > 1;
        _args = new Sluice.SocketAsyncEventArgs[outstanding];
        for (int i = 0; i < outstanding; i++)
        {
            _args[i] = new Sluice.SocketAsyncEventArgs();
            _args[i].SetBuffer(new byte[64], 0, 64);
            _args[i].Completed += (_, e) => Completed(e);
        }
    }

    public string Name => _socket.Completion == Sluice.SluiceCompletion.EngineThread
        ? "Sluice, on the engine's thread"
        : "Sluice, on the pool";

    /* Several leave together; a single one is tried at once. */
    protected override bool Start(Sluice.SocketAsyncEventArgs args)
    {
        args.SocketFlags = _isBatched ? Sluice.SluiceFlags.Batched : Sluice.SluiceFlags.Eager;
        return _socket.SendAsync(args);
    }

    protected override void Post(Action action)
    {
        if (_socket.Completion == Sluice.SluiceCompletion.EngineThread)
            _socket.Engine.Post(static state => ((Action)state!)(), action);
        else
            ThreadPool.UnsafeQueueUserWorkItem(_ => action(), null);
    }

    public void Run(int sends) => Run(_args, sends);
}

sealed class NetAwait : IWay
{
    private readonly Socket _socket = Link.Make();
    private readonly byte[] _bytes = new byte[64];

    public string Name => "System.Net.Sockets";

    public void Run(int sends) => Task.Run(async () =>
    {
        for (int i = 0; i < sends; i++)
            await _socket.SendAsync(_bytes.AsMemory());
    }).Wait();
}

sealed class SluiceAwait(Sluice.SluiceEngine engine) : IWay
{
    private readonly Sluice.Socket _socket = new(Link.Make(), engine);
    private readonly byte[] _bytes = new byte[64];

    public string Name => _socket.Completion == Sluice.SluiceCompletion.EngineThread
        ? "Sluice, on the engine's thread"
        : "Sluice, on the pool";

    public void Run(int sends)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        async void Send()
        {
            for (int i = 0; i < sends; i++)
                await _socket.SendAsync(_bytes.AsMemory(), Sluice.SluiceFlags.Eager);
            ended.SetResult();
        }

        if (_socket.Completion == Sluice.SluiceCompletion.EngineThread)
            _socket.Engine.Post(_ => Send(), null);
        else
            ThreadPool.UnsafeQueueUserWorkItem(_ => Send(), null);
        ended.Task.Wait();
    }
}
