import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCertificate } from '../../src/testing/certificates.ts'
import { Program, startProgram } from './program.ts'

setDefaultTimeout(60_000)

const authority = makeCertificate({ name: 'Test authority', authority: true })
const server = makeCertificate({ name: 'corral', issuer: authority })
const client = makeCertificate({ name: 'client', issuer: authority })
const stranger = makeCertificate({ name: 'stranger' })

/** What became of a request that may not even get a connection. */
async function outcome(pending: Promise<Response>): Promise<number | 'no response'> {
  try {
    return (await pending).status
  } catch (error) {
    expect(error).toBeInstanceOf(Error)
    return 'no response'
  }
}

describe('TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'corral-tls-'))
  const file = (name: string) => join(folder, name)
  beforeAll(() => {
    writeFileSync(file('cert.pem'), server.cert)
    writeFileSync(file('key.pem'), server.key)
    writeFileSync(file('ca.pem'), authority.cert)
    writeFileSync(file('nonsense.pem'), 'not a certificate')
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const pair = { tls_certfile: file('cert.pem'), tls_keyfile: file('key.pem') }

  test('a certificate and its key serve HTTPS, and plain HTTP gets no response', async () => {
    await using program = await startProgram({ server: pair })
    expect(program.url).toStartWith('https://')
    const response = await fetch(`${program.url}/v1/health`, { tls: { ca: authority.cert } })
    expect(response.status).toBe(200)
    expect(await outcome(fetch(`${program.url}/v1/health`.replace('https', 'http')))).toBe('no response')
    expect(await outcome(fetch(`${program.url}/v1/health`, { tls: { ca: stranger.cert } }))).toBe('no response')
  })

  test('[SRV-4] with an authority for clients, only those with its certificate get in', async () => {
    await using program = await startProgram({ server: { ...pair, tls_cafile: file('ca.pem') } })
    const ask = (tls: object) => fetch(`${program.url}/v1/health`, { tls: { ca: authority.cert, ...tls }, keepalive: false })
    expect((await ask({ cert: client.cert, key: client.key })).status).toBe(200)
    expect(await outcome(ask({}))).toBe('no response')
    expect(await outcome(ask({ cert: stranger.cert, key: stranger.key }))).toBe('no response')
  })

  test('half a pair, an unreadable file or one that is not PEM stops the start with one line', async () => {
    const wrong = [
      [{ tls_certfile: file('cert.pem') }, 'tls_keyfile'],
      [{ tls_keyfile: file('key.pem') }, 'tls_certfile'],
      [{ tls_cafile: file('ca.pem') }, 'tls_certfile'],
      [{ ...pair, tls_certfile: file('absent.pem') }, 'absent.pem'],
      [{ ...pair, tls_certfile: file('nonsense.pem') }, 'PEM'],
    ] as const
    for (const [section, named] of wrong) {
      await using program = new Program({ server: section })
      expect(await program.exited).not.toBe(0)
      expect(program.output).toContain(named)
      expect(program.output).not.toContain('    at ')
    }
  })
})
