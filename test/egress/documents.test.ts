import { describe, expect, test } from 'bun:test'
import { EgressError } from '../../src/egress/egress.ts'
import { fetchDocument, type DocumentRequest } from '../../src/egress/fetch-document.ts'
import { makeCertificate } from '../../src/testing/certificates.ts'
import { gzipSync } from 'node:zlib'
import { mockUpstream, stall, stallBeforeHead, type MockUpstream } from '../../src/testing/index.ts'
import { callerEgress, callerUrl, refusalOf } from './test-egress.ts'

const here = '127.0.0.1'
const names = { 'a.example': [here], 'b.example': [here], 'private.example': ['10.0.0.1'], 'c.example': [[here], ['10.0.0.1']] }
const way = (over: Parameters<typeof callerEgress>[0] = {}) => callerEgress({ names, allow: [here], ...over }).egress
const wanted = (over: Partial<DocumentRequest> = {}): DocumentRequest => ({ signal: new AbortController().signal, maxBytes: 1000, ...over })

/** Redirects by path: `/to?<location>`. */
function redirecting(upstream: MockUpstream, status = 302): void {
  upstream.respond(({ path }) => {
    const location = /^\/to\?(.*)$/.exec(path)?.[1]
    return location === undefined
      ? { body: 'the document' }
      : { status, headers: { location: decodeURIComponent(location) }, body: 'moved' }
  })
}
const to = (location: string): string => `/to?${encodeURIComponent(location)}`

const credentials = { authorization: 'Bearer secret', 'x-api-key': 'secret', cookie: 'a=secret', accept: 'image/*', 'x-custom': 'secret' }

const refuseHead = (_status: number, headers: Headers): void => {
  throw new Error(`no image but ${headers.get('content-type')}`)
}

async function failureOf(promise: Promise<unknown>): Promise<EgressError> {
  const error: unknown = await promise.catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(EgressError)
  return error as EgressError
}

describe('redirects of what is fetched for a caller', () => {
  test.each([301, 302, 303, 307, 308])('[EGR-3] %i is followed; the credential stays with its origin', async (status) => {
    await using upstream = await mockUpstream()
    redirecting(upstream, status)
    const other = `http://b.example:${upstream.port}${to('/end')}`
    const url = callerUrl(`http://a.example:${upstream.port}${to(to(other))}`)
    const { bytes } = await fetchDocument(way(), url, wanted({ headers: credentials, maxRedirects: 3 }))
    expect(new TextDecoder().decode(bytes)).toBe('the document')
    const seen = upstream.requests.map(({ headers }) => [headers.host?.split(':')[0], headers.authorization, headers.accept])
    expect(seen).toEqual([
      ['a.example', 'Bearer secret', 'image/*'],
      ['a.example', 'Bearer secret', 'image/*'],
      ['b.example', undefined, 'image/*'],
      ['b.example', undefined, 'image/*'],
    ])
    expect(JSON.stringify(upstream.requests.slice(2).map(({ headers }) => headers))).not.toContain('secret')
  })

  test.each([
    ['a private address', 'http://10.0.0.1/'],
    ['the metadata service', 'http://169.254.169.254/latest/meta-data/'],
    ['a private name', 'http://private.example/'],
    ['a spelling of loopback', 'http://[::1]/'],
    ['an unknown name', 'http://no-such.example/'],
    ['another protocol', 'file:///etc/passwd'],
    ['credentials in the URL', 'http://user:pass@a.example/'],
  ])('[EGR-3] to %s are refused', async (_, location) => {
    await using upstream = await mockUpstream()
    redirecting(upstream)
    const error = await refusalOf(fetchDocument(way(), callerUrl(`http://a.example:${upstream.port}${to(location)}`), wanted()))
    expect([error.status, upstream.requests.length]).toEqual([400, 1])
  })

  test('[EGR-3] to the same name are judged again', async () => {
    await using upstream = await mockUpstream()
    redirecting(upstream)
    const url = callerUrl(`http://c.example:${upstream.port}${to(`http://c.example:${upstream.port}/end`)}`)
    expect(await refusalOf(fetchDocument(way(), url, wanted()))).toMatchObject({ code: 'url_not_allowed' })
    expect(upstream.requests).toHaveLength(1)
  })

  test('[EGR-3] from https to http are refused', async () => {
    const { key, cert } = makeCertificate({ name: 'a', authority: true, hosts: ['a.example'] })
    await using upstream = await mockUpstream({ tls: { key, cert } })
    await using plain = await mockUpstream()
    redirecting(upstream)
    redirecting(plain)
    const down = callerUrl(`https://a.example:${upstream.port}${to(`http://a.example:${plain.port}/`)}`)
    expect(await refusalOf(fetchDocument(way({ callerCa: cert }), down, wanted()))).toMatchObject({
      code: 'url_not_allowed',
      denial: { by: 'egress' },
    })
    const up = callerUrl(`http://a.example:${plain.port}${to(`https://a.example:${upstream.port}/`)}`)
    expect((await fetchDocument(way({ callerCa: cert }), up, wanted())).status).toBe(200)
    expect(plain.requests).toHaveLength(1)
  })

  test('[EGR-9] end after the maximum; with none allowed the redirect is the response', async () => {
    await using upstream = await mockUpstream()
    upstream.respond(() => ({ status: 302, headers: { location: '/again' } }))
    const url = callerUrl(`http://a.example:${upstream.port}/`)
    expect(await failureOf(fetchDocument(way(), url, wanted()))).toMatchObject({
      reason: 'invalid_response',
      message: 'it redirects more than 3 times',
    })
    expect(upstream.requests).toHaveLength(4)
    expect((await fetchDocument(way(), url, wanted({ maxRedirects: 0 }))).status).toBe(302)
    expect(upstream.requests).toHaveLength(5)
  })
})

describe('limits of what is fetched for a caller', () => {
  test('[EGR-9] size, packed or not', async () => {
    await using upstream = await mockUpstream()
    const url = callerUrl(`http://a.example:${upstream.port}/`)
    for (const script of [
      { body: 'x'.repeat(1001) },
      { body: ['x'.repeat(600), 'x'.repeat(600)] },
      { body: gzipSync(new Uint8Array(100_000)), headers: { 'content-encoding': 'gzip' } },
    ]) {
      upstream.enqueue(script)
      expect((await failureOf(fetchDocument(way(), url, wanted()))).reason).toBe('too_large')
    }
    await upstream.quiet()
  })

  test('[EGR-9] time, over everything', async () => {
    await using upstream = await mockUpstream()
    const url = callerUrl(`http://a.example:${upstream.port}/`)
    upstream.enqueue(stallBeforeHead, { body: ['abc', stall] })
    for (let round = 0; round < 2; round += 1) {
      expect(await failureOf(fetchDocument(way(), url, wanted({ timeout: 50 })))).toMatchObject({
        reason: 'timeout',
        message: 'it took longer than 0.05 s',
      })
    }
    await upstream.quiet({ closed: true })
    const never = way({ resolve: () => new Promise(() => undefined) })
    expect((await failureOf(fetchDocument(never, url, wanted({ timeout: 50 })))).reason).toBe('timeout')
  })

  test('who looks at the head may end it there', async () => {
    await using upstream = await mockUpstream()
    upstream.enqueue({ headers: { 'content-type': 'text/html' }, body: ['abc', stall] })
    const fetching = fetchDocument(way(), callerUrl(`http://a.example:${upstream.port}/`), wanted({ checkHead: refuseHead }))
    expect(await fetching.catch((error: unknown) => error)).toEqual(new Error('no image but text/html'))
    await upstream.quiet({ closed: true })
  })

  test('a caller who leaves ends it', async () => {
    await using upstream = await mockUpstream()
    upstream.enqueue({ body: ['abc', stall] })
    const controller = new AbortController()
    const fetching = fetchDocument(way(), callerUrl(`http://a.example:${upstream.port}/`), wanted({ signal: controller.signal }))
    const failed = fetching.catch((error: unknown) => error)
    await upstream.received(1)
    const reason = new Error('left')
    controller.abort(reason)
    expect(await failed).toBe(reason)
    await upstream.quiet({ closed: true })
  })
})
