// SPDX-License-Identifier: MIT
using System;
using System.Net;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using System.Net.Sockets;
using NetSocket = System.Net.Sockets.Socket;

namespace Sluice.AspNetCore;

/// <summary>Options of Kestrel's transport over sluice.</summary>
public sealed class SluiceTransportOptions
{
    /// <summary>Engines, each with a thread of its own; a listener has a socket on each of them.</summary>
    public int EngineCount { get; set; } = 1;

    /// <summary>
    /// Where the application runs. On the engine's thread a request costs no change of threads, and nothing
    /// in the application may block.
    /// </summary>
    public SluiceCompletion Application { get; set; } = SluiceCompletion.ThreadPool;

    /// <summary>How each engine reaches the kernel.</summary>
    public SluiceBackend Backend { get; set; }

    public int Backlog { get; set; } = 512;

    public bool NoDelay { get; set; } = true;

    /// <summary>Bytes received that the application has not read, before the socket is read no more.</summary>
    public long MaxReadBufferSize { get; set; } = 1024 * 1024;

    /// <summary>Bytes that the application has written and the kernel not taken, before a flush waits.</summary>
    public long MaxWriteBufferSize { get; set; } = 64 * 1024;
}

public static class SluiceWebHostBuilderExtensions
{
    /// <summary>Kestrel's connections go over sluice: TCP and UNIX sockets.</summary>
    public static IWebHostBuilder UseSluice(this IWebHostBuilder builder,
        Action<SluiceTransportOptions>? configure = null) =>
        builder.ConfigureServices(services =>
        {
            services.AddSingleton<IConnectionListenerFactory, SluiceTransportFactory>();
            if (configure != null)
                services.Configure(configure);
        });
}

/// <summary>Makes the listeners; the engines are its own.</summary>
internal sealed class SluiceTransportFactory : IConnectionListenerFactory, IConnectionListenerFactorySelector, IDisposable
{
    private readonly SluiceTransportOptions _options;
    private readonly Lazy<SluiceEngine[]> _engines;

    public SluiceTransportFactory(IOptions<SluiceTransportOptions> options)
    {
        _options = options.Value;
        _engines = new Lazy<SluiceEngine[]>(MakeEngines);
    }

    private SluiceEngine[] MakeEngines()
    {
        var engines = new SluiceEngine[Math.Max(1, _options.EngineCount)];

        for (int i = 0; i < engines.Length; i++)
        {
            engines[i] = new SluiceEngine(new SluiceEngineOptions
            {
                Name = $"Sluice engine {i}",
                Backend = _options.Backend,
                /* What the transport itself does never blocks. */
                Completion = SluiceCompletion.EngineThread,
                ReceiveBufferBytes = 4096,
            });
        }
        return engines;
    }

    public bool CanBind(EndPoint endpoint) => endpoint is IPEndPoint or UnixDomainSocketEndPoint;

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        try
        {
            return new ValueTask<IConnectionListener>(new SluiceListener(endpoint, _engines.Value, _options));
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            throw new AddressInUseException(exception.Message, exception);
        }
    }

    public void Dispose()
    {
        if (!_engines.IsValueCreated)
            return;
        foreach (SluiceEngine engine in _engines.Value)
            engine.Dispose();
    }
}
