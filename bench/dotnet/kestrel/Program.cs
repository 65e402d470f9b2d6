// SPDX-License-Identifier: MIT
// ASP.NET Core's server of static files, on a port of 127.0.0.1.
//
//   Kestrel PORT DIRECTORY
using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;

var port = int.Parse(args[0]);
var directory = args[1];
var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions
{
    ContentRootPath = directory,
    WebRootPath = directory,
});

builder.Logging.ClearProviders();
builder.WebHost.ConfigureKestrel(server =>
{
    server.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(300);
    server.Listen(IPAddress.Loopback, port, listener => listener.Protocols = HttpProtocols.Http1);
});

var app = builder.Build();

app.UseStaticFiles();
app.Run();
