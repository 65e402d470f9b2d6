// SPDX-License-Identifier: MIT
using System.Net.Sockets;

// Records that use SocketAsyncEventArgs again and again.
abstract class EventArgsWay : IWay
{
    private readonly Pending pending = new();
    protected readonly List<(Socket Socket, SocketAsyncEventArgs Args)> Operations = new();

    protected void Add(Socket socket, SocketAsyncEventArgs args)
    {
        args.Completed += (_, done) => Finish(done);
        Operations.Add((socket, args));
    }

    protected abstract bool Start(Socket socket, SocketAsyncEventArgs args);

    private void Finish(SocketAsyncEventArgs args)
    {
        if (args.SocketError != SocketError.Success)
            Environment.FailFast(args.SocketError.ToString());
        pending.End();
    }

    public void Once()
    {
        pending.Begin(Operations.Count);
        foreach (var (socket, args) in Operations)
        {
            if (!Start(socket, args))
                Finish(args);
        }
        pending.Wait();
    }
}

// SendAsync of each record; one with a header is a BufferList of two.
sealed class SendEach : EventArgsWay
{
    public SendEach(Load load)
    {
        var payload = new Payload(load);

        for (var i = 0; i < load.Records; i++)
        {
            var args = new SocketAsyncEventArgs();
            var body = payload.Body(i);

            if (load.HeaderBytes > 0)
                args.BufferList = new List<ArraySegment<byte>> { payload.Header(i), body };
            else
                args.SetBuffer(body.Array, body.Offset, body.Count);
            Add(load.SocketOf(i), args);
        }
    }

    protected override bool Start(Socket socket, SocketAsyncEventArgs args) => socket.SendAsync(args);
}

// One SendAsync for each socket, with all its records as a BufferList.
sealed class SendLists : EventArgsWay
{
    public SendLists(Load load)
    {
        var payload = new Payload(load);

        for (var socket = 0; socket < load.Sockets.Length; socket++)
        {
            var list = new List<ArraySegment<byte>>();

            for (var i = socket; i < load.Records; i += load.Sockets.Length)
                list.Add(payload.Body(i));
            Add(load.Sockets[socket], new SocketAsyncEventArgs { BufferList = list });
        }
    }

    protected override bool Start(Socket socket, SocketAsyncEventArgs args) => socket.SendAsync(args);
}

// BeginSend of each record, EndSend in its callback.
sealed class BeginSends : IWay
{
    private readonly Pending pending = new();
    private readonly Load load;
    private readonly ArraySegment<byte>[] records;

    public BeginSends(Load load)
    {
        this.load = load;
        var payload = new Payload(load);

        records = Enumerable.Range(0, load.Records).Select(payload.Body).ToArray();
    }

    private void Finish(IAsyncResult result)
    {
        ((Socket)result.AsyncState!).EndSend(result);
        pending.End();
    }

    public void Once()
    {
        pending.Begin(records.Length);
        for (var i = 0; i < records.Length; i++)
        {
            var socket = load.SocketOf(i);
            var record = records[i];

            socket.BeginSend(record.Array!, record.Offset, record.Count, SocketFlags.None, Finish, socket);
        }
        pending.Wait();
    }
}

// SendPacketsAsync of a file that is open.
sealed class SendPackets : EventArgsWay
{
    public SendPackets(Load load)
    {
        var file = new FileStream($"/proc/self/fd/{load.FileFd}", FileMode.Open, FileAccess.Read, FileShare.Read,
            1, FileOptions.Asynchronous);
        var element = new SendPacketsElement(file, 0, (int)load.FileBytes);

        Add(load.Sockets[0], new SocketAsyncEventArgs { SendPacketsElements = new[] { element } });
    }

    protected override bool Start(Socket socket, SocketAsyncEventArgs args) => socket.SendPacketsAsync(args);
}

// SendFile by path.
sealed class SendFiles : IWay
{
    private readonly Load load;
    private readonly string path;

    public SendFiles(Load load)
    {
        this.load = load;
        path = $"/proc/self/fd/{load.FileFd}";
    }

    public void Once() => load.Sockets[0].SendFile(path);
}
