/** The one place that starts a listener. */
export interface ListenOptions {
  port: number
  hostname: string
  fetch(request: Request): Promise<Response>
}

export interface Listener {
  readonly url: URL
  stop(): Promise<void>
}

export function listen(options: ListenOptions): Listener {
  const server = Bun.serve({
    port: options.port,
    hostname: options.hostname,
    fetch(request, bun) {
      bun.timeout(request, 0)
      return options.fetch(request)
    },
  })
  return { url: server.url, stop: async () => server.stop(true) }
}
