import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'bun:test'
import { providerDefinitions } from '../../src/providers/index.ts'
import { providerEntry, recordedLog, testApp, testConfig } from '../../src/testing/index.ts'

test('[EGR-7] a refused URL is in the log and in the audit log, once each, with the reason and without its path', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'corral-egress-'))
  try {
    const definition = providerDefinitions.find(({ type }) => type === 'remote::passthrough')!
    const log = recordedLog()
    const config = testConfig({ providers: [providerEntry(definition, 'p', {})], audit: { folder } })
    {
      await using app = await testApp(config, { log })
      const response = await app.fetch('/v1/chat/completions', {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'x-llamastack-provider-data': JSON.stringify({ passthrough_url: 'http://10.1.2.3:8080/secret-path?key=secret-key' }),
        },
        body: JSON.stringify({ model: 'p/m', messages: [{ role: 'user', content: 'Hi' }] }),
      })
      expect(response.status).toBe(400)
      expect(await response.text()).not.toContain('10.1.2.3')
    }
    const lines = log.lines.filter(({ fields }) => fields['denied_by'] === 'egress')
    expect(lines.map(({ fields }) => fields)).toMatchObject([{ status: 400, denied_reason: '10.1.2.3: private' }])
    const audit = readdirSync(folder)
      .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'))
      .filter((line) => line.includes('"egress"'))
      .map((line) => JSON.parse(line) as object)
    expect(audit).toMatchObject([
      {
        event: 'request.denied',
        denied_by: 'egress',
        reason: '10.1.2.3: private',
        action: 'connect',
        resource: 'host::10.1.2.3:8080',
        status: 400,
      },
    ])
    expect(JSON.stringify([audit, log.lines])).not.toMatch(/secret-path|secret-key/)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
