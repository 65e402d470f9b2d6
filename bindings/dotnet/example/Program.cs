// SPDX-License-Identifier: MIT
// The first three lines of a program of System.Net.Sockets, of which one has changed: the package brings
// SocketFlags, SocketError and the rest of what is shared under their names.
using System.Net;
using System.Text;
using Sluice;

using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
listener.Listen();

Task<Socket> accepting = listener.AcceptAsync();
using var client = new Socket(SocketType.Stream, ProtocolType.Tcp);

await client.ConnectAsync(listener.LocalEndPoint!);
using Socket server = await accepting;

// A record that is used again and again, as servers do.
using var sending = new SocketAsyncEventArgs();
var sent = new TaskCompletionSource();

sending.SetBuffer(Encoding.UTF8.GetBytes("hello"));
sending.Completed += (_, _) => sent.SetResult();
if (server.SendAsync(sending))
    await sent.Task;
if (sending.SocketError != SocketError.Success)
    throw new SocketException((int)sending.SocketError);

// Begin and End.
byte[] more = Encoding.UTF8.GetBytes(", world");
IAsyncResult result = server.BeginSend(more, 0, more.Length, SocketFlags.None, null, null);

Console.WriteLine($"{sending.BytesTransferred} and {server.EndSend(result)} bytes sent by {server.Engine.Backend}");

// And a task.
await server.SendAsync(Encoding.UTF8.GetBytes("!").AsMemory());
server.Shutdown(SocketShutdown.Send);

var text = new StringBuilder();
var buffer = new byte[64];

while (await client.ReceiveAsync(buffer.AsMemory()) is > 0 and var got)
    text.Append(Encoding.UTF8.GetString(buffer, 0, got));
Console.WriteLine(text);
return text.ToString() == "hello, world!" ? 0 : 1;
