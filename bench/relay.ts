// The baseline: a minimal relay on Bun. Corral is measured against it.
const [port, upstream] = process.argv.slice(2)

Bun.serve({
  port: Number(port),
  hostname: '127.0.0.1',
  idleTimeout: 0,
  async fetch(request) {
    const { pathname } = new URL(request.url)
    if (pathname === '/v1/health') return new Response('ok')
    const response = await fetch(`${upstream}${pathname.slice('/v1'.length)}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: request.headers.get('authorization') ?? '' },
      body: await request.arrayBuffer(),
      signal: request.signal,
    })
    return new Response(response.body, { status: response.status, headers: { 'content-type': response.headers.get('content-type') ?? '' } })
  },
})
