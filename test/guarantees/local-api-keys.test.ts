import { describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chainOf, guarded, outcome, whoIs } from '../auth/guarded.ts'
import { inProcess } from '../cli/corral.ts'
import { problems, withServer } from '../config/loading.ts'

const keys = ['first-key-of-the-file', 'second-key-of-the-file']
const section = { type: 'local_api_key', api_keys: keys }

describe('auth type local_api_key', () => {
  test('[GUA-11] its keys are recognised in every header, and nothing else', async () => {
    await using server = await guarded(section)
    const shown: Record<string, string>[] = [
      { authorization: `Bearer ${keys[0]}` },
      { 'x-api-key': keys[0]! },
      { 'x-goog-api-key': keys[1]! },
    ]
    for (const headers of shown) {
      expect((await server.app.fetch(new Request('http://127.0.0.1/v1/models', { headers }))).status).toBe(200)
    }
    for (const wrong of ['first-key', `${keys[0]}x`, keys[0]!.toUpperCase(), 'other']) {
      expect([wrong, (await server.ask(wrong)).status]).toEqual([wrong, 401])
    }
    expect((await server.app.fetch(new Request('http://127.0.0.1/v1/models'))).status).toBe(401)
  })

  test('[GUA-11] each key is a principal of its own, the same after a restart and in another order', async () => {
    const chain = chainOf(section)
    const [first, second] = [await whoIs(chain, keys[0]!), await whoIs(chain, keys[1]!)]
    expect(first).toMatchObject({ attributes: { roles: ['admin', 'owner'] }, authenticator: 'local_api_key' })
    expect(first.id).toMatch(/^local:[0-9a-f]{16}$/)
    expect(second.id).not.toBe(first.id)
    const again = chainOf({ ...section, api_keys: keys.toReversed() })
    expect([await outcome(again, keys[0]!), await outcome(again, keys[1]!)]).toEqual([first.id, second.id])
  })

  test('[GUA-11] other credentials go to the next authenticator; an empty list accepts none', async () => {
    const chain = chainOf([
      { ...section, api_keys: [] },
      { ...section, api_keys: ['last'] },
    ])
    expect(await outcome(chain, 'last')).toStartWith('local:')
    expect(await outcome(chain, 'first')).toStartWith('401')
  })

  test('[GUA-11] a key that no header can carry is an error that does not repeat it', async () => {
    for (const key of ['my secret key', 'schl\u00fcssel-geheim', '""']) {
      const found = await problems(withServer('auth:', '  provider_config:', '    type: local_api_key', `    api_keys: [${key}]`))
      expect(found.join()).toContain('visible ASCII')
      expect(found.join()).not.toContain(key === '""' ? 'crl_' : key)
    }
    expect(await problems(withServer('auth:', '  provider_config: { type: local_api_key }'))).toHaveLength(1)
  })

  test('[GUA-11] no key is ever printed', async () => {
    await using server = await guarded(section)
    const { headers, status } = await server.ask(keys[0])
    expect(status).toBe(200)
    await server.ask(`${keys[1]}-mistyped`)
    const shown = [JSON.stringify(server.lines), JSON.stringify([...headers])]
    expect(shown[0]).toContain('local:')
    const home = mkdtempSync(join(tmpdir(), 'corral-local-'))
    try {
      const file = join(home, 'run.yaml')
      const auth = { provider_config: { type: 'local_api_key', api_keys: [...keys, 8_765_432_198_765] } }
      writeFileSync(file, JSON.stringify({ version: 2, providers: {}, server: { auth } }))
      for (const words of [
        ['config', 'show', file],
        ['config', 'show', file, '--json'],
        ['config', 'validate', file],
        ['doctor', file],
      ]) {
        const { stdout, stderr, code } = await inProcess(words, { env: { CORRAL_HOME: home } })
        if (words[0] === 'config') expect([words, code]).toEqual([words, 0])
        shown.push(stdout, stderr)
      }
      expect(shown[2]).toContain('local_api_key')
    } finally {
      rmSync(home, { recursive: true })
    }
    expect(shown.join()).not.toMatch(/key-of-the-file|8765432198765/)
  })
})
