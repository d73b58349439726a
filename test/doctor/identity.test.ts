import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCertificate } from '../../src/testing/certificates.ts'
import {
  closeBeforeHead,
  jsonReply,
  mockUpstream,
  type MockUpstream,
  refusingUrl,
  type Script,
  stallBeforeHead,
} from '../../src/testing/index.ts'
import { startIssuer } from '../auth/issuer.ts'
import { doctorOn, type Said } from './stage.ts'

const secret = 'our-client-secret'
const authority = makeCertificate({ name: 'company CA', authority: true })
const certificate = makeCertificate({ name: 'identity', issuer: authority })
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'corral-doctor-'))
  await writeFile(join(folder, 'ca.crt'), authority.cert)
})
afterAll(() => rm(folder, { recursive: true }))

const ofAuth = (provider: object): Promise<Said> =>
  doctorOn({ server: { auth: { provider_config: provider } }, secrets: [secret] }, 'identity service')

const html: Script = { body: '<!doctype html><title>Sign in</title>', headers: { 'content-type': 'text/html' } }

interface Kind {
  readonly name: string
  section(url: string, over?: object): object
  /** Responses of a healthy service. */
  readonly sound: readonly Script[]
  /** What is wrong, and what the remedy says. */
  readonly broken: readonly (readonly [Script, RegExp])[]
}

const kinds: readonly Kind[] = [
  {
    name: 'introspection',
    section: (url, over) => ({
      type: 'oauth2_token',
      introspection: { url: `${url}/introspect`, client_id: 'corral', client_secret: secret },
      ...over,
    }),
    sound: [jsonReply({ active: false })],
    broken: [
      [
        jsonReply({ error: 'invalid_client', error_description: `no ${secret}` }, 401),
        /returned status 401[^]*client_id, client_secret and send_secret_in_body/,
      ],
      [jsonReply({ error: 'unsupported' }, 404), /returned status 404[^]*server\.auth/],
      [html, /invalid response for introspection[^]*Check the address/],
    ],
  },
  {
    name: 'a key set',
    section: (url, over) => ({ type: 'oauth2_token', jwks: { uri: `${url}/jwks`, token: secret }, ...over }),
    sound: [jsonReply({ keys: [{ kty: 'OKP', kid: '1' }] })],
    broken: [
      [jsonReply({ error: 'no' }, 401), /returned status 401[^]*the URI and its token/],
      [html, /invalid response for keys[^]*Check the address/],
    ],
  },
  {
    name: 'Kubernetes',
    section: (url, over) => ({ type: 'kubernetes', api_server_url: url, ...over }),
    sound: [
      jsonReply({ major: '1', minor: '31' }),
      jsonReply({ kind: 'Status', code: 401 }, 401),
      jsonReply({ kind: 'Status', code: 403 }, 403),
    ],
    broken: [
      [html, /unlike Kubernetes' API[^]*api_server_url/],
      [jsonReply({ message: 'no such page' }, 404), /returned status 404[^]*api_server_url/],
    ],
  },
  {
    name: 'GitHub',
    section: (url, over) => ({ type: 'github_token', github_api_base_url: url, ...over }),
    sound: [
      jsonReply({ current_user_url: 'x' }),
      jsonReply({ message: 'Must authenticate' }, 401),
      jsonReply({ message: 'rate limit' }, 403),
    ],
    broken: [
      [html, /unlike GitHub's API[^]*https:\/\/HOST\/api\/v3/],
      [jsonReply({ message: 'Not Found' }, 404), /returned status 404[^]*github_api_base_url/],
    ],
  },
]

async function saysOf(kind: Kind, response: Script): Promise<Said> {
  await using service = await mockUpstream()
  service.respond(() => response)
  return await ofAuth(kind.section(service.url))
}

describe.each(kinds.map((kind) => [kind.name, kind] as const))('%s', (_, kind) => {
  test('[OPS-1] well', async () => {
    for (const response of kind.sound) expect(await saysOf(kind, response)).toEqual(['ok', expect.stringContaining('responds') as string])
  })

  test('[OPS-1] an invalid response', async () => {
    for (const [response, said] of kind.broken)
      expect(await saysOf(kind, response)).toEqual(['failed', expect.stringMatching(said) as string])
    const [state, text] = await saysOf(kind, { status: 503, body: 'down' })
    expect([state, text]).toEqual(['failed', 'returned status 503\nThe service itself fails: see its log.'])
  })

  test('[OPS-1] unreachable: connection refused, unknown host, closed, silent', async () => {
    const remedy = /\nIts callers get 503 until it is reachable: check its address in server\.auth/
    expect(await ofAuth(kind.section(await refusingUrl()))).toEqual(['failed', expect.stringMatching(remedy) as string])
    expect(await ofAuth(kind.section('http://identity.invalid'))).toEqual(['failed', expect.stringMatching(remedy) as string])
    expect(await saysOf(kind, closeBeforeHead)).toEqual(['failed', expect.stringMatching(remedy) as string])
    await using silent = await mockUpstream()
    silent.respond(() => stallBeforeHead)
    expect(await ofAuth(kind.section(silent.url, { timeout_seconds: 0.2 }))).toEqual(['failed', expect.stringMatching(remedy) as string])
  })

  test('[OPS-1] a certificate of an unknown CA, until it is configured', async () => {
    await using service: MockUpstream = await mockUpstream({ tls: { cert: certificate.cert, key: certificate.key } })
    service.respond(() => kind.sound[0])
    const [state, text] = await ofAuth(kind.section(service.url))
    expect([state, text]).toEqual(['failed', expect.stringMatching(/certificate[^]*\nSet tls_cafile in server\.auth/) as string])
    expect(text).not.toContain('network.tls')
    expect((await ofAuth(kind.section(service.url, { tls_cafile: join(folder, 'ca.crt') })))[0]).toBe('ok')
  })
})

test('[OPS-1] a real issuer is healthy; one without keys is a warning', async () => {
  await using issuer = await startIssuer()
  expect((await ofAuth(issuer.section()))[0]).toBe('ok')
  issuer.published.length = 0
  expect(await ofAuth(issuer.section())).toEqual([
    'warning',
    expect.stringMatching(/key set is empty: every token is rejected\nCheck the URI/) as string,
  ])
})
