// SPDX-License-Identifier: MIT
// ASP.NET Core's server of static files, on a port of 127.0.0.1; /memory is 1 KiB that no file has.
//
//   Kestrel PORT DIRECTORY [TRANSPORT]
//
// TRANSPORT is Kestrel's own without a word, or with inline its own with the application on its threads; by
// sluice-pool and sluice-inline it is sluice's, with the application on the pool and on the engine's thread.
using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Sluice;
using Sluice.AspNetCore;

var port = int.Parse(args[0]);
var directory = args[1];
var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions
{
    ContentRootPath = directory,
    WebRootPath = directory,
});

var transport = args.Length > 2 ? args[2] : "";

builder.Logging.ClearProviders();
if (transport.StartsWith("sluice"))
{
    builder.WebHost.UseSluice(options => options.Application =
        transport == "sluice-inline" ? SluiceCompletion.EngineThread : SluiceCompletion.ThreadPool);
}
else if (transport == "inline")
{
    builder.WebHost.UseSockets(options => options.UnsafePreferInlineScheduling = true);
}
builder.WebHost.ConfigureKestrel(server =>
{
    server.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(300);
    server.Listen(IPAddress.Loopback, port, listener => listener.Protocols = HttpProtocols.Http1);
});

var app = builder.Build();

var memory = new byte[1024];

app.Use(async (context, next) =>
{
    if (context.Request.Path != "/memory")
    {
        await next(context);
        return;
    }
    context.Response.ContentLength = memory.Length;
    await context.Response.BodyWriter.WriteAsync(memory);
});
app.UseStaticFiles();
app.Run();
