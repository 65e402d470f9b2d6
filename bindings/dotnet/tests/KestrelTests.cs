// SPDX-License-Identifier: MIT
using System;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Sluice.AspNetCore;
using NetSocket = System.Net.Sockets.Socket;

namespace Sluice.Tests;

/// <summary>Kestrel over the transport, with the application on the pool and on the engine's thread.</summary>
public static class KestrelTests
{
    private const int LargeBytes = 3_000_000;

    private sealed class Server : IAsyncDisposable
    {
        private readonly WebApplication _application;

        public Server(SluiceCompletion application, int engines = 1)
        {
            WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();

            builder.Logging.ClearProviders();
            builder.WebHost.UseSluice(options =>
            {
                options.Application = application;
                options.EngineCount = engines;
            });
            builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
            _application = builder.Build();
            _application.Run(Answer);
            _application.StartAsync().GetAwaiter().GetResult();
            Address = new Uri(_application.Urls.Single());
            Client = new HttpClient { BaseAddress = Address };
        }

        public Uri Address { get; }

        public HttpClient Client { get; }

        public string? ThreadName { get; private set; }

        private async Task Answer(HttpContext context)
        {
            ThreadName = Thread.CurrentThread.Name;
            switch (context.Request.Path.Value)
            {
            case "/large":
                await context.Response.BodyWriter.WriteAsync(Bytes.Pattern(LargeBytes, 5));
                break;
            case "/echo":
                await context.Request.Body.CopyToAsync(context.Response.Body);
                break;
            case "/wait":
                await Task.Delay(Timeout.Infinite, context.RequestAborted);
                break;
            default:
                await context.Response.WriteAsync("hello");
                break;
            }
        }

        public NetSocket Connect()
        {
            var socket = new NetSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

            socket.Connect(IPAddress.Loopback, Address.Port);
            return socket;
        }

        public async ValueTask DisposeAsync()
        {
            Client.Dispose();
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));

            await _application.StopAsync(limit.Token);
            await _application.DisposeAsync();
        }
    }

    private static async Task OnBoth(Func<Server, Task> test)
    {
        foreach (SluiceCompletion application in new[] { SluiceCompletion.ThreadPool, SluiceCompletion.EngineThread })
        {
            await using var server = new Server(application);

            await test(server);
        }
    }

    public static Task Kestrel_answers_over_the_transport() => OnBoth(async server =>
    {
        for (int i = 0; i < 20; i++)
            Check.Equal("hello", await server.Client.GetStringAsync("/"));
    });

    public static async Task Kestrel_runs_the_application_where_the_option_says()
    {
        await using var pool = new Server(SluiceCompletion.ThreadPool);
        await using var engine = new Server(SluiceCompletion.EngineThread);

        /* Kestrel itself begins each connection on the pool, and goes on there with what has come already. */
        for (int i = 0; i < 1000 && engine.ThreadName != "Sluice engine 0"; i++)
        {
            await engine.Client.GetStringAsync("/");
            await pool.Client.GetStringAsync("/");
            Check.That(pool.ThreadName != "Sluice engine 0");
        }
        Check.Equal("Sluice engine 0", engine.ThreadName);
    }

    public static Task Kestrel_sends_large_answers_and_receives_large_bodies() => OnBoth(async server =>
    {
        byte[] large = Bytes.Pattern(LargeBytes, 5);

        Check.That((await server.Client.GetByteArrayAsync("/large")).AsSpan().SequenceEqual(large));
        HttpResponseMessage answer = await server.Client.PostAsync("/echo", new ByteArrayContent(large));

        Check.That((await answer.Content.ReadAsByteArrayAsync()).AsSpan().SequenceEqual(large));
    });

    public static Task Kestrel_answers_pipelined_requests_in_order() => OnBoth(async server =>
    {
        using NetSocket socket = server.Connect();
        const int Requests = 100;

        socket.Send(Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", Requests))));

        var text = new StringBuilder();
        var buffer = new byte[65536];

        while (text.ToString().Split("hello").Length <= Requests)
        {
            int got = await socket.ReceiveAsync(buffer, SocketFlags.None);

            Check.That(got > 0);
            text.Append(Encoding.ASCII.GetString(buffer, 0, got));
        }
        Check.Equal(Requests, text.ToString().Split("hello").Length - 1);
    });

    public static Task Kestrel_sees_a_client_that_resets() => OnBoth(async server =>
    {
        for (int i = 0; i < 5; i++)
        {
            using NetSocket socket = server.Connect();

            socket.Send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"u8);
            await Task.Delay(5);
            socket.LingerState = new LingerOption(true, 0);
            socket.Close();
        }
        Check.Equal("hello", await server.Client.GetStringAsync("/"));
    });

    public static Task Kestrel_serves_many_connections() => OnBoth(async server =>
    {
        Task<string>[] answers = Enumerable.Range(0, 200).Select(async _ =>
        {
            using var client = new HttpClient { BaseAddress = server.Address };

            return await client.GetStringAsync("/");
        }).ToArray();

        await Task.WhenAll(answers);
        Check.That(answers.All(answer => answer.Result == "hello"));
    });

    public static async Task Kestrel_listens_on_several_engines()
    {
        await using var server = new Server(SluiceCompletion.ThreadPool, engines: 2);

        for (int i = 0; i < 20; i++)
        {
            using var client = new HttpClient { BaseAddress = server.Address };

            Check.Equal("hello", await client.GetStringAsync("/"));
        }
    }

    public static async Task Kestrel_stops_while_connections_are_open()
    {
        var server = new Server(SluiceCompletion.ThreadPool);
        using NetSocket idle = server.Connect();

        Check.Equal("hello", await server.Client.GetStringAsync("/"));
        await server.DisposeAsync();
        Check.Equal(0, idle.Receive(new byte[1]));
    }
}
