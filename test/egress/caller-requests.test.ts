import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { describe, expect, test } from 'bun:test'
import { EgressError } from '../../src/egress/egress.ts'
import { makeCertificate } from '../../src/testing/certificates.ts'
import { jsonReply, mockUpstream, resetBeforeHead, stallBeforeHead } from '../../src/testing/index.ts'
import { Secret } from '../../src/secret.ts'
import { callerEgress, callerUrl, get, refusalOf } from './test-egress.ts'

const here = '127.0.0.1'

async function failureOf(promise: Promise<unknown>): Promise<EgressError> {
  const error: unknown = await promise.catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(EgressError)
  return error as EgressError
}

describe('the address that was judged is the one that is connected to', () => {
  test('[EGR-2] a name is resolved once, and no other resolver is asked', async () => {
    await using upstream = await mockUpstream()
    upstream.respond(() => jsonReply({ ok: true }))
    // The second lookup's address would be refused, and `model.example` does not resolve on the machine.
    const { egress, lookups } = callerEgress({ names: { 'model.example': [[here], ['10.0.0.1']] }, allow: [here] })
    const url = callerUrl(`http://model.example:${upstream.port}/v1?a=b`)
    const { status, content } = await egress.request(url, get({ headers: { 'x-a': '1', Host: 'other.example' } }))
    content.cancel()
    expect([status, lookups]).toEqual([200, ['model.example']])
    expect(upstream.requests[0]).toMatchObject({ path: '/v1?a=b', headers: { host: `model.example:${upstream.port}`, 'x-a': '1' } })
    await refusalOf(egress.request(url, get()))
    expect(upstream.requests).toHaveLength(1)
  })

  test('[EGR-2] with TLS the certificate is that of the name, and connections are used again', async () => {
    const { key, cert } = makeCertificate({ name: 'a', authority: true, hosts: ['model.example'] })
    await using upstream = await mockUpstream({ tls: { key, cert } })
    upstream.respond(() => jsonReply({ ok: true }))
    const names = { 'model.example': [here], 'model.example.': [here], 'other.example': [here] }
    const { egress } = callerEgress({ names, allow: [here], callerCa: cert })
    for (let round = 0; round < 5; round += 1) {
      const { content } = await egress.request(callerUrl(`https://model.example:${upstream.port}/`), get())
      expect(new TextDecoder().decode(await content.bytes(100))).toBe('{"ok":true}')
    }
    expect(upstream.accepted).toBe(1)
    ;(await egress.request(callerUrl(`https://model.example.:${upstream.port}/`), get())).content.cancel()
    expect((await failureOf(egress.request(callerUrl(`https://other.example:${upstream.port}/`), get()))).reason).toBe('tls')
    const { egress: defaults } = callerEgress({ names, allow: [here] })
    expect((await failureOf(defaults.request(callerUrl(`https://model.example:${upstream.port}/`), get()))).reason).toBe('tls')
  })

  test('a plain connection is used again', async () => {
    await using upstream = await mockUpstream()
    upstream.respond(() => jsonReply({ ok: true }))
    const { egress } = callerEgress({ names: { 'model.example': [here] }, allow: [here] })
    for (let round = 0; round < 5; round += 1) {
      await (await egress.request(callerUrl(`http://model.example:${upstream.port}/`), get())).content.bytes(100)
    }
    expect(upstream.accepted).toBe(1)
  })

  test('IPv6, by name and by number', async () => {
    const server = createServer((request, response) => response.end(request.headers.host))
    await new Promise<void>((resolve) => server.listen(0, '::1', resolve))
    try {
      const { port } = server.address() as AddressInfo
      const { egress } = callerEgress({ names: { 'six.example': ['::1'] }, allow: ['::1'] })
      for (const host of ['six.example', '[::1]', '[0:0::0:1]']) {
        const { content } = await egress.request(callerUrl(`http://${host}:${port}/`), get())
        const shown = host === 'six.example' ? host : '[::1]'
        expect(new TextDecoder().decode(await content.bytes(100))).toBe(`${shown}:${port}`)
      }
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })

  test('where the first address takes no connection the next is tried, and the body arrives once', async () => {
    await using upstream = await mockUpstream()
    upstream.respond(() => jsonReply({ ok: true }))
    const { egress } = callerEgress({ names: { 'two.example': ['127.0.0.2', '::1', here] }, allow: ['127.0.0.0/8', '::1'] })
    const request = get({ method: 'POST', body: '{"a":1}', headers: { 'content-type': 'application/json' } })
    const { content } = await egress.request(callerUrl(`http://two.example:${upstream.port}/`), request)
    content.cancel()
    expect(upstream.requests.map(({ text }) => text)).toEqual(['{"a":1}'])
  })

  test('what was sent is not sent again to the next address', async () => {
    await using upstream = await mockUpstream()
    upstream.respond(() => resetBeforeHead)
    const { egress } = callerEgress({ names: { 'two.example': [here, here] }, allow: [here] })
    const failed = await failureOf(egress.request(callerUrl(`http://two.example:${upstream.port}/`), get({ method: 'POST', body: 'x' })))
    expect([failed.reason, failed.neverConnected, upstream.requests.length]).toEqual(['interrupted', false, 1])
  })

  test('the log names the host and the address', async () => {
    const { egress } = callerEgress({ names: { 'model.example': ['127.0.0.2'] }, allow: ['127.0.0.2'] })
    const error = await failureOf(egress.request(callerUrl('http://model.example:1234/secret-path'), get()))
    expect(String(error.cause)).toContain('model.example:1234 at 127.0.0.2')
    expect(String(error.cause)).not.toContain('secret-path')
  })
})

/** Takes requests and tunnels, notes whom they are for, and leads all of them to one port. */
async function proxyTo(port: number): Promise<{ url: string; lookups: string[]; server: Server }> {
  const lookups: string[] = []
  const server = createServer((request, response) => {
    lookups.push(`${request.url} ${request.headers.host} ${request.headers['proxy-authorization'] ?? ''}`)
    response.end('{"proxied":true}')
  })
  server.on('connect', (request, socket) => {
    lookups.push(`CONNECT ${request.url} ${request.headers['proxy-authorization'] ?? ''}`)
    const upstream = connect(port, here, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.pipe(socket).pipe(upstream)
    })
    upstream.on('error', () => socket.destroy())
    socket.on('error', () => upstream.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, here, resolve))
  return { url: `http://user:proxy-secret@${here}:${(server.address() as AddressInfo).port}`, lookups, server }
}

describe('behind a proxy', () => {
  const ways = [
    ['configured', (url: string) => ({ network: { proxy: { http: new Secret(url), https: new Secret(url) } } }), () => ({})],
    ['of the environment', () => ({}), (url: string) => ({ proxies: { http: new Secret(url), https: new Secret(url) } })],
  ] as const

  test.each(ways)('[EGR-5] only listed hosts are asked of a proxy that is %s, and it resolves', async (_, network, environment) => {
    const { key, cert } = makeCertificate({ name: 'a', authority: true, hosts: ['model.example'] })
    await using upstream = await mockUpstream({ tls: { key, cert } })
    upstream.respond(() => jsonReply({ ok: true }))
    const { url, lookups, server } = await proxyTo(upstream.port)
    try {
      const { egress, lookups: resolved } = callerEgress({ allow: ['model.example', '10.0.0.0/8'], callerCa: cert, ...environment(url) })
      for (const refused of ['http://public.example/', 'https://8.8.8.8/', 'http://169.254.169.254/', 'http://localhost/']) {
        expect((await refusalOf(egress.request(callerUrl(refused), get(network(url))))).code).toBe('url_not_allowed')
      }
      expect(lookups).toEqual([])
      for (const to of ['http://model.example/v1', 'http://10.1.2.3/']) {
        const { content } = await egress.request(callerUrl(to), get(network(url)))
        expect(new TextDecoder().decode(await content.bytes(100))).toBe('{"proxied":true}')
      }
      const { content } = await egress.request(callerUrl('https://model.example/v1'), get(network(url)))
      expect(new TextDecoder().decode(await content.bytes(100))).toBe('{"ok":true}')
      expect(lookups.map((line) => line.split(' Basic')[0])).toEqual([
        'http://model.example/v1 model.example',
        'http://10.1.2.3/ 10.1.2.3',
        'CONNECT model.example:443',
      ])
      // This machine is never asked of the environment's proxy, so its name is resolved and judged here.
      expect(resolved.filter((name) => name !== 'localhost')).toEqual([])
      // What the proxy is shown is not shown to the host behind it.
      expect(JSON.stringify(upstream.requests)).not.toMatch(/proxy-auth|proxy-secret/i)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })

  test('a host that the environment excepts is reached directly, and judged', async () => {
    await using upstream = await mockUpstream()
    upstream.respond(() => jsonReply({ ok: true }))
    const nowhere = new Secret('http://127.0.0.1:1')
    const names = { 'a.direct.example': [here], 'b.direct.example': ['10.0.0.1'] }
    const { egress } = callerEgress({ names, allow: [here], proxies: { http: nowhere, none: 'other, .direct.example' } })
    const { status, content } = await egress.request(callerUrl(`http://a.direct.example:${upstream.port}/`), get())
    content.cancel()
    expect(status).toBe(200)
    expect((await refusalOf(egress.request(callerUrl('http://b.direct.example/'), get()))).denial?.reason).toContain('private')
  })
})

describe('nothing of the operator’s', () => {
  test('[EGR-6] neither its client certificate, nor its trust, nor its socket', async () => {
    const { key, cert } = makeCertificate({ name: 'a', authority: true, hosts: ['model.example'] })
    await using upstream = await mockUpstream({ tls: { key, cert, ca: cert, requestCert: true, rejectUnauthorized: true } })
    const { egress } = callerEgress({ names: { 'model.example': [here] }, allow: [here], callerCa: cert })
    const url = callerUrl(`https://model.example:${upstream.port}/`)
    expect((await failureOf(egress.request(url, get({ network: { tls: { cert, key, ca: cert } } })))).reason).toBe('tls')

    await using plain = await mockUpstream({ tls: { key, cert } })
    const { egress: defaults } = callerEgress({ names: { 'model.example': [here] }, allow: [here] })
    const other = callerUrl(`https://model.example:${plain.port}/`)
    for (const tls of [{ verify: false }, { ca: cert }]) {
      expect((await failureOf(defaults.request(other, get({ network: { tls } })))).reason).toBe('tls')
    }
    expect(
      (await refusalOf(defaults.request(callerUrl('http://10.0.0.1/'), get({ network: { unixSocket: '/run/some.sock' } })))).code,
    ).toBe('url_not_allowed')
  })
})

describe('a refusal reveals nothing of the internal network', () => {
  test('[EGR-7] unknown, private, open and closed get the same message; the log has the reason', async () => {
    await using open = await mockUpstream()
    const names = { 'private.example': ['10.0.0.1'], 'open.example': [here], 'nothing.example': [] }
    const { egress } = callerEgress({ names })
    const urls = [
      'http://no-such.example/',
      'http://nothing.example/',
      'http://private.example/',
      `http://open.example:${open.port}/`,
      'http://open.example:9999/',
      `http://${here}:${open.port}/`,
      'http://[::1]:9999/',
      'http://open.example:22/',
    ]
    const errors = await Promise.all(urls.map((url) => refusalOf(egress.request(callerUrl(url), get()))))
    expect(
      new Set(errors.map(({ message, status, code, param, headers }) => JSON.stringify([message, status, code, param, headers]))).size,
    ).toBe(1)
    expect(errors[0]?.message).toContain('server.egress.allow')
    expect(errors.map(({ denial }) => denial?.reason)).toEqual([
      'no-such.example: no such host',
      'nothing.example: no such host',
      'private.example: resolves to 10.0.0.1, private',
      'open.example: resolves to 127.0.0.1, loopback',
      'open.example: resolves to 127.0.0.1, loopback',
      '127.0.0.1: loopback',
      '::1: loopback',
      'open.example: a port that the Fetch standard blocks',
    ])
    expect(open.accepted).toBe(0)
  })

  test('a resolver that fails is a failure of this server’s way out, one that is slow a timeout', async () => {
    const again = Object.assign(new Error('try again'), { code: 'EAI_AGAIN' })
    const { egress } = callerEgress({ names: { 'a.example': again } })
    expect(await failureOf(egress.request(callerUrl('http://a.example/'), get()))).toMatchObject({ reason: 'unreachable' })
    const { egress: slow } = callerEgress({ resolve: () => new Promise(() => undefined) })
    const impatient = get({ network: { connectTimeout: 20 } })
    expect(await failureOf(slow.request(callerUrl('http://a.example/'), impatient))).toMatchObject({ reason: 'timeout' })
  })

  test('a client that disconnects is not waited for, at the resolver or at the host', async () => {
    const reason = new Error('left')
    const { egress: slow } = callerEgress({ resolve: () => new Promise(() => undefined) })
    const atResolver = new AbortController()
    const pending = slow.request(callerUrl('http://a.example/'), get({ signal: atResolver.signal })).catch((error: unknown) => error)
    atResolver.abort(reason)
    expect(await pending).toBe(reason)

    await using upstream = await mockUpstream()
    upstream.enqueue(stallBeforeHead)
    const { egress } = callerEgress({ names: { 'a.example': [here] }, allow: [here] })
    const atHost = new AbortController()
    const waiting = egress
      .request(callerUrl(`http://a.example:${upstream.port}/`), get({ signal: atHost.signal }))
      .catch((error: unknown) => error)
    await upstream.received(1)
    atHost.abort(reason)
    expect(await waiting).toBe(reason)
    await upstream.quiet({ closed: true })
  })
})
