import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { connect as connectSocket, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'bun:test'
import { createEgress, EgressError, type EgressRequest, type NetworkOptions } from '../../src/egress/egress.ts'
import { Secret } from '../../src/secret.ts'
import { makeCertificate } from '../../src/testing/certificates.ts'
import { closeBeforeHead, jsonReply, mockUpstream, refusingUrl, resetBeforeHead, stall, stallBeforeHead } from '../../src/testing/index.ts'

const egress = createEgress()
const limit = 1024 * 1024

function get(network?: NetworkOptions, signal = new AbortController().signal): EgressRequest {
  return { method: 'GET', headers: {}, signal, network }
}

async function fetchText(url: string, request: EgressRequest): Promise<string> {
  const { content } = await egress.request(url, request)
  return new TextDecoder().decode(await content.bytes(limit))
}

async function failure(promise: Promise<unknown>): Promise<EgressError> {
  const error: unknown = await promise.then(
    () => 'no failure',
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(EgressError)
  return error as EgressError
}

/** The listeners that a signal has, counted where they are added and removed. */
function countedSignal(): { controller: AbortController; listeners: () => number } {
  const controller = new AbortController()
  const { signal } = controller
  const listeners = new Set<unknown>()
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (type: string, listener: EventListenerOrEventListenerObject, options?: AddEventListenerOptions) => {
    listeners.add(listener)
    add(type, listener, options)
  }
  signal.removeEventListener = (type: string, listener: EventListenerOrEventListenerObject) => {
    listeners.delete(listener)
    remove(type, listener)
  }
  return { controller, listeners: () => listeners.size }
}

describe('what goes wrong before the head', () => {
  test('a refused connection is unreachable, and neither the message nor its cause shows the URL', async () => {
    const error = await failure(fetchText(`${(await refusingUrl()).replace('//', '//user:hunter2@')}/v1?key=hunter2`, get()))
    expect(error.reason).toBe('unreachable')
    expect(error.message).toBe('the connection was refused')
    expect(inspect(error)).not.toContain('hunter2')
  })

  test('an unknown host is unreachable', async () => {
    expect((await failure(fetchText('http://no-such-host.invalid/', get()))).reason).toBe('unreachable')
  })

  test.each([
    ['closed', closeBeforeHead, 'interrupted'],
    ['reset', resetBeforeHead, 'interrupted'],
    ['not HTTP', { raw: 'SSH-2.0-OpenSSH_9.9\r\n\r\n' }, 'invalid_response'],
  ] as const)('a response that is %s', async (_, script, reason) => {
    await using upstream = await mockUpstream()
    upstream.respond(() => script)
    expect((await failure(fetchText(upstream.url, get()))).reason).toBe(reason)
  })

  test('no head in time is a timeout, and the connection is closed', async () => {
    await using upstream = await mockUpstream()
    upstream.enqueue(stallBeforeHead)
    const error = await failure(fetchText(upstream.url, get({ firstByteTimeout: 50 })))
    expect(error).toMatchObject({ reason: 'timeout', message: 'no response within 0.05 s' })
    await upstream.quiet({ closed: true })
  })

  test('a connection that works outlives the connect timeout', async () => {
    await using upstream = await mockUpstream()
    upstream.enqueue({ ...jsonReply({ ok: true }), before: { wait: 150 } })
    expect(await fetchText(upstream.url, get({ connectTimeout: 20 }))).toBe('{"ok":true}')
  })

  test.skipIf(process.platform !== 'linux')('a host that accepts no connection is a connect timeout', async () => {
    // Node, because Bun sets a backlog of its own. Listens, takes no connection ever, and has room for one that waits: the next gets no response, as from behind a silent firewall.
    const program = `const s = require('node:net').createServer(); s.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('node:fs').writeSync(1, String(s.address().port)); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0) })`
    const child = spawn('node', ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
    const waiting: Socket[] = []
    try {
      const port = Number(await new Promise((resolve) => child.stdout.once('data', resolve)))
      for (let count = 0; count < 8; count += 1) waiting.push(connectSocket({ port, host: '127.0.0.1' }).on('error', () => undefined))
      await new Promise((resolve) => setTimeout(resolve, 200))
      const error = await failure(fetchText(`http://127.0.0.1:${port}/`, get({ connectTimeout: 100 })))
      expect(error).toMatchObject({ reason: 'timeout', message: 'no connection within 0.1 s' })
    } finally {
      for (const socket of waiting) socket.destroy()
      child.kill('SIGKILL')
    }
  })
})

describe('what goes wrong in the body', () => {
  test.each([
    ['cut', 'interrupted'],
    ['reset', 'interrupted'],
  ] as const)('a body that is %s', async (end, reason) => {
    await using upstream = await mockUpstream()
    upstream.respond(() => ({ body: ['abc'], end }))
    expect((await failure(fetchText(upstream.url, get()))).reason).toBe(reason)
    upstream.respond(() => ({ body: 'abc', headers: { 'content-length': '10' }, end }))
    expect((await failure(fetchText(upstream.url, get()))).reason).toBe(reason)
  })

  test.each([
    ['in pieces', { body: ['abc', stall] }],
    ['with a known length', { headers: { 'content-length': '10' }, body: 'abc', end: 'stall' }],
  ] as const)('a body %s that stalls is a timeout, and the connection is closed', async (_, script) => {
    await using upstream = await mockUpstream()
    upstream.enqueue(script)
    const error = await failure(fetchText(upstream.url, get({ idleTimeout: 40 })))
    expect(error).toMatchObject({ reason: 'timeout', message: 'no data received for 0.04 s' })
    await upstream.quiet({ closed: true })
  })

  test('a body that is not being read is not idle', async () => {
    await using upstream = await mockUpstream()
    upstream.enqueue({ body: ['abc', { wait: 20 }, 'def'] })
    const { content } = await egress.request(upstream.url, get({ idleTimeout: 40 }))
    expect(await content.read()).toHaveLength(1)
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect(new TextDecoder().decode((await content.read())?.[0])).toBe('def')
    expect(await content.read()).toBeUndefined()
  })

  test.each([
    ['in pieces', ['x'.repeat(600), 'x'.repeat(600)]],
    ['with a known length', 'x'.repeat(1200)],
  ])('a body %s beyond the limit is too large', async (_, body) => {
    await using upstream = await mockUpstream()
    upstream.respond(() => ({ body }))
    const { content } = await egress.request(upstream.url, get())
    expect((await failure(content.bytes(1000))).reason).toBe('too_large')
    await upstream.quiet()
  })

  test('a compressed body that grows beyond the limit is too large', async () => {
    await using upstream = await mockUpstream()
    const body = gzipSync(new Uint8Array(10 * limit))
    upstream.respond(() => ({ body, headers: { 'content-encoding': 'gzip' } }))
    expect((await failure(fetchText(upstream.url, get()))).reason).toBe('too_large')
  })

  test('redirects are responses', async () => {
    await using upstream = await mockUpstream()
    upstream.enqueue({ status: 302, headers: { location: '/other' } })
    const { status, content } = await egress.request(upstream.url, get())
    content.cancel()
    expect(status).toBe(302)
    expect(upstream.requests).toHaveLength(1)
  })
})

describe('giving up', () => {
  test('an abort before, at the head and in the body rejects with its reason and closes the connection', async () => {
    await using upstream = await mockUpstream()
    const reason = new Error('left')
    expect(await egress.request(upstream.url, get(undefined, AbortSignal.abort(reason))).catch((error: unknown) => error)).toBe(reason)

    upstream.enqueue(stallBeforeHead)
    const atHead = new AbortController()
    const pending = egress.request(upstream.url, get(undefined, atHead.signal)).catch((error: unknown) => error)
    await upstream.received(1)
    atHead.abort(reason)
    expect(await pending).toBe(reason)

    upstream.enqueue({ body: ['abc', stall] })
    const inBody = new AbortController()
    const { content } = await egress.request(upstream.url, get(undefined, inBody.signal))
    await content.read()
    const rest = content.read().catch((error: unknown) => error)
    inBody.abort(reason)
    expect(await rest).toBe(reason)
    await upstream.quiet({ closed: true })
    expect(upstream.requests.every((request) => request.aborted)).toBe(true)
  })

  test('an abort in the turn in which it was asked sends nothing', async () => {
    await using upstream = await mockUpstream()
    const leaving = new AbortController()
    const pending = egress.request(upstream.url, get(undefined, leaving.signal)).catch((error: unknown) => error)
    leaving.abort(new Error('left'))
    expect(await pending).toBe(leaving.signal.reason)
    await fetchText(upstream.url, get())
    expect(upstream.requests).toHaveLength(1)
  })

  test('cancel closes the connection and ends a read that waits', async () => {
    await using upstream = await mockUpstream()
    upstream.enqueue({ body: ['abc', stall] })
    const { content } = await egress.request(upstream.url, get())
    await content.read()
    const rest = content.read()
    content.cancel()
    expect(await rest).toBeUndefined()
    await upstream.quiet({ closed: true })
  })

  test('a signal that lives long keeps no listeners', async () => {
    await using upstream = await mockUpstream()
    const { controller, listeners } = countedSignal()
    const request = get({ idleTimeout: 40 }, controller.signal)
    upstream.respond(({ path }) => {
      if (path === '/stall') return { body: ['abc', stall] }
      return path === '/reset' ? resetBeforeHead : jsonReply({ ok: true })
    })
    for (let round = 0; round < 20; round += 1) await fetchText(`${upstream.url}/`, request)
    await failure(fetchText(`${upstream.url}/stall`, request))
    await failure(fetchText(`${upstream.url}/reset`, request))
    const { content } = await egress.request(`${upstream.url}/`, request)
    content.cancel()
    expect(listeners()).toBe(0)
  })
})

describe('connections', () => {
  test('are used again: after whole bodies, after bodies in pieces, after a drain', async () => {
    await using upstream = await mockUpstream()
    upstream.respond(({ path }) => (path === '/pieces' ? { body: ['a', 'b', { wait: 5 }, 'c'] } : jsonReply({ ok: true })))
    for (let round = 0; round < 10; round += 1) {
      await fetchText(`${upstream.url}/`, get())
      await fetchText(`${upstream.url}/pieces`, get({ idleTimeout: 1000 }))
      const { content } = await egress.request(`${upstream.url}/pieces`, get())
      await content.read()
      content.drain()
      await upstream.quiet()
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    expect(upstream.accepted).toBeLessThanOrEqual(2)
  })

  test('that the upstream closed in the meantime cost no request', async () => {
    await using upstream = await mockUpstream()
    upstream.respond(() => ({ ...jsonReply({ ok: true }), end: 'cut' }))
    for (let round = 0; round < 5; round += 1) expect(await fetchText(upstream.url, get())).toBe('{"ok":true}')
  })
})

describe('TLS', () => {
  const { key, cert } = makeCertificate({ name: 'localhost', authority: true })

  test('trusts the configured CA and reuses the connection, and trusts nothing else without configuration', async () => {
    await using upstream = await mockUpstream({ tls: { key, cert } })
    upstream.respond(() => jsonReply({ ok: true }))
    const trusting = get({ tls: { ca: cert } })
    for (let round = 0; round < 5; round += 1) expect(await fetchText(upstream.url, trusting)).toBe('{"ok":true}')
    expect(upstream.accepted).toBe(1)
    expect(await fetchText(upstream.url, get({ tls: { verify: false } }))).toBe('{"ok":true}')
    expect((await failure(fetchText(upstream.url, get()))).reason).toBe('tls')
  })

  test('shows its client certificate', async () => {
    await using upstream = await mockUpstream({ tls: { key, cert, ca: cert, requestCert: true, rejectUnauthorized: true } })
    upstream.respond(() => jsonReply({ ok: true }))
    const own = get({ tls: { ca: cert, cert, key } })
    for (let round = 0; round < 3; round += 1) expect(await fetchText(upstream.url, own)).toBe('{"ok":true}')
    expect(upstream.accepted).toBe(1)
    expect((await failure(fetchText(upstream.url, get({ tls: { ca: cert } })))).reason).toBe('tls')
  })

  test('keeps to its oldest version', async () => {
    await using upstream = await mockUpstream({ tls: { key, cert, maxVersion: 'TLSv1.2' } })
    upstream.respond(() => jsonReply({ ok: true }))
    expect(await fetchText(upstream.url, get({ tls: { ca: cert, minVersion: 'TLSv1.2' } }))).toBe('{"ok":true}')
    expect((await failure(fetchText(upstream.url, get({ tls: { ca: cert, minVersion: 'TLSv1.3' } })))).reason).toBe('tls')
  })
})

function byProxy(url: string) {
  return { proxy: { http: new Secret(url), https: new Secret(url) } }
}

describe('another way there', () => {
  test('a proxy gets the request, on one connection', async () => {
    let connections = 0
    const upstreamRequests: string[] = []
    const proxy = createHttpServer((request, response) => {
      upstreamRequests.push(request.url ?? '')
      response.setHeader('content-type', 'application/json').end('{"proxied":true}')
    }).on('connection', () => (connections += 1))
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
    try {
      const network = byProxy(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`)
      for (let round = 0; round < 3; round += 1) expect(await fetchText('http://model.example/v1', get(network))).toBe('{"proxied":true}')
      expect(upstreamRequests).toEqual(Array<string>(3).fill('http://model.example/v1'))
      expect(connections).toBe(1)
    } finally {
      proxy.closeAllConnections()
      proxy.close()
    }
  })

  test.each(['http', 'https'])('a proxy that cannot be reached is reported and logged, for %s', async (scheme) => {
    const unknown = await failure(fetchText(`${scheme}://1.2.3.4/`, get(byProxy('http://me:hunter2@no-such-proxy.invalid:3128'))))
    expect(unknown).toMatchObject({ reason: 'unreachable', message: 'at its proxy, the host name could not be resolved' })
    expect(String(unknown.cause)).toContain('no-such-proxy.invalid:3128')
    expect(inspect(unknown)).not.toContain('hunter2')
    const proxy = await refusingUrl()
    const refused = await failure(fetchText(`${scheme}://1.2.3.4/`, get(byProxy(proxy))))
    expect(refused).toMatchObject({ reason: 'unreachable', message: 'at its proxy, the connection was refused' })
    expect(String(refused.cause)).toContain(new URL(proxy).host)
  })

  test('a Unix socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'corral-socket-'))
    const path = join(folder, 'upstream.sock')
    const server = createHttpServer((request, response) => response.end(`at ${request.url}`)).listen(path)
    try {
      expect(await fetchText('http://local/v1', get({ unixSocket: path }))).toBe('at /v1')
      expect((await failure(fetchText('http://local/v1', get({ unixSocket: `${path}.not` })))).reason).toBe('unreachable')
    } finally {
      server.close()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
