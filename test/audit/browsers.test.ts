import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'bun:test'
import { testApp, testConfig } from '../../src/testing/index.ts'

const cors = {
  allowOrigins: ['https://app.example'],
  allowMethods: ['POST'],
  allowHeaders: ['x-known'],
  exposeHeaders: [],
  allowCredentials: false,
  maxAge: 600,
}

test('[AUD-1] what is refused for its host or its origin is in the audit log, preflights too', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'corral-browsers-'))
  try {
    {
      await using app = await testApp(testConfig({ audit: { folder }, server: { cors } }))
      const ask = async (method: string, headers: Record<string, string>) => (await app.fetch('/v1/models', { method, headers })).status
      const preflight = { origin: 'https://app.example', 'access-control-request-method': 'POST' }
      const statuses = [
        await ask('GET', { host: 'evil.example' }),
        await ask('POST', { origin: 'https://evil.example' }),
        await ask('POST', { 'sec-fetch-site': 'cross-site' }),
        await ask('OPTIONS', { ...preflight, origin: 'https://evil.example' }),
        await ask('OPTIONS', { ...preflight, 'access-control-request-headers': 'x-strange' }),
        await ask('OPTIONS', preflight),
      ]
      expect(statuses).toEqual([403, 403, 403, 403, 403, 204])
    }
    const lines = readdirSync(folder)
      .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'))
      .filter((line) => line.includes('"request.denied"'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines.map(({ status, denied_by: by, reason }) => `${String(status)} ${String(by)}: ${String(reason)}`)).toEqual([
      "403 host: host 'evil.example' is not allowed",
      "403 origin: origin 'https://evil.example' is not allowed",
      '403 origin: cross-site request without an origin',
      "403 origin: Origin 'https://evil.example' is not allowed by server.cors.allow_origins",
      "403 origin: Header 'x-strange' is not allowed by server.cors.allow_headers",
    ])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
