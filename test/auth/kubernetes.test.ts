import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCertificate } from '../../src/testing/certificates.ts'
import { jsonReply, mockUpstream, resetBeforeHead, stallBeforeHead } from '../../src/testing/index.ts'
import { chainOf, guarded, outcome, whoIs } from './guarded.ts'

const authority = makeCertificate({ name: 'cluster CA', authority: true })
const certificate = makeCertificate({ name: 'kubernetes.default.svc', issuer: authority })
const stranger = makeCertificate({ name: 'another CA', authority: true })

const cluster = () => mockUpstream({ tls: { cert: certificate.cert, key: certificate.key } })

/** An API server's response to a SelfSubjectReview. */
function review(userInfo: unknown) {
  return jsonReply({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview', metadata: {}, status: { userInfo } }, 201)
}

const account = {
  username: 'system:serviceaccount:ml:trainer',
  uid: '1b2c',
  groups: ['system:serviceaccounts', 'system:serviceaccounts:ml', 'system:authenticated'],
  extra: { 'authentication.kubernetes.io/pod-name': ['trainer-0'] },
}

describe('kubernetes', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'corral-kubernetes-'))
    await writeFile(join(folder, 'ca.crt'), authority.cert)
    await writeFile(join(folder, 'other.crt'), stranger.cert)
  })
  afterAll(() => rm(folder, { recursive: true }))

  const section = (url: string, over: Record<string, unknown> = {}) => ({
    type: 'kubernetes',
    api_server_url: url,
    tls_cafile: join(folder, 'ca.crt'),
    ...over,
  })

  test('[AUT-23] a token that the cluster knows is its user, groups and all', async () => {
    await using api = await cluster()
    api.respond(() => review(account))
    await using server = await guarded(section(api.url))
    const { status, line } = await server.ask('sa-token')
    expect([status, line.fields['principal']]).toEqual([200, 'system:serviceaccount:ml:trainer'])
    const [request] = api.requests
    expect([request?.method, request?.path]).toEqual(['POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews'])
    expect(request?.headers['authorization']).toBe('Bearer sa-token')
    expect(request?.json).toEqual({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' })
    expect(await whoIs(chainOf(section(api.url)), 'sa-token')).toEqual({
      id: account.username,
      authenticator: 'kubernetes',
      attributes: { roles: [account.username, ...account.groups] },
    })
    const mapped = chainOf(
      section(`${api.url}/k8s/clusters/c-1/`, { claims_mapping: { groups: 'teams', 'extra.authentication.kubernetes.io/pod-name': 'x' } }),
    )
    expect((await whoIs(mapped, 'sa-token')).attributes).toEqual({ teams: account.groups })
    expect(api.requests.at(-1)?.path).toBe('/k8s/clusters/c-1/apis/authentication.k8s.io/v1/selfsubjectreviews')
  })

  test('[AUT-24] 401 is a bad token, 403 and the like a 401 that says so, 5xx and 429 a 503', async () => {
    await using api = await cluster()
    await using server = await guarded(section(api.url, { timeout_seconds: 0.5 }))
    const nameless = 'Token validation error: No username found in SelfSubjectReview response'
    const cases: [status: number, said: string, reply: Parameters<typeof api.enqueue>[0]][] = [
      [401, 'Invalid token', jsonReply({ kind: 'Status', code: 401 }, 401)],
      [401, 'Token validation failed: 403', jsonReply({ kind: 'Status', code: 403 }, 403)],
      [401, 'Token validation failed: 404', jsonReply({}, 404)],
      // Not even that is taken for a review.
      [401, 'Token validation failed: 200', { ...review(account), status: 200 }],
      [401, nameless, jsonReply({}, 201)],
      [401, nameless, jsonReply({ status: null }, 201)],
      [401, nameless, jsonReply({ status: { userInfo: [] } }, 201)],
      [401, nameless, review({ username: '' })],
      [401, nameless, { status: 201, body: 'invalid' }],
      [401, 'Invalid token', review({ username: 'system:anonymous', groups: ['system:unauthenticated'] })],
      [503, 'Authentication service unavailable', jsonReply({}, 500)],
      [503, 'Authentication service unavailable', jsonReply({}, 429, { 'retry-after': '2' })],
      [503, 'Authentication service unavailable', resetBeforeHead],
      [503, 'Authentication service timeout', stallBeforeHead],
    ]
    for (const [index, [expected, said, reply]] of cases.entries()) {
      api.enqueue(reply)
      const { status, error, headers, line } = await server.ask(`sa-secret-${index}`)
      expect([index, status, error?.message]).toEqual([index, expected, said])
      expect(headers.has(expected === 401 ? 'www-authenticate' : 'retry-after')).toBe(true)
      expect(line.fields['denied_by']).toBe(expected === 401 ? 'authentication' : undefined)
    }
    expect(JSON.stringify(server.lines)).not.toContain('sa-secret')
  })

  test('[AUT-25] its certificate must be of the configured authority; verify_tls: false trusts any, and says so', async () => {
    await using api = await cluster()
    api.respond(() => review(account))
    expect(await outcome(chainOf(section(api.url)), 't')).toBe(account.username)
    expect(await outcome(chainOf(section(api.url, { tls_cafile: join(folder, 'other.crt') })), 't')).toBe(
      '503 Authentication service unavailable',
    )
    expect(await outcome(chainOf(section(api.url, { tls_cafile: null })), 't')).toBe('503 Authentication service unavailable')
    const blind = chainOf(section(api.url, { tls_cafile: null, verify_tls: false }))
    expect(await outcome(blind, 't')).toBe(account.username)
    expect(blind.lines.map(({ message }) => message).join()).toContain('verify_tls: false')
  })

  test('nothing is remembered under a part of a token', async () => {
    await using api = await cluster()
    api.respond(({ headers }) => review({ username: headers['authorization']?.slice(-1) }))
    const chain = chainOf(section(api.url))
    const start = 'a'.repeat(3_000)
    expect(await outcome(chain, `${start}x`)).toBe('x')
    expect(await outcome(chain, `${start}y`)).toBe('y')
    expect(await outcome(chain, `${start}x`)).toBe('x')
    expect(api.requests).toHaveLength(2)
  })
})
