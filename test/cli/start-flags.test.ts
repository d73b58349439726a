import { describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert, constantFrom, property, string, tuple, array } from 'fast-check'
import { withVariables } from '../../src/cli/variables.ts'
import { inProcess, temporaryFolder } from './corral.ts'

const file = `version: 2
providers:
  inference:
    - provider_id: own
      provider_type: remote::vllm
      config: { base_url: '\${env.VLLM_URL}' }
registered_resources:
  models: [{ model_id: '\${env.INFERENCE_MODEL}', provider_id: own }]
server: { host: '\${env.LISTEN:=127.0.0.1}' }
`

function folderWithFile() {
  const folder = temporaryFolder()
  writeFileSync(join(folder.path, 'run.yaml'), file)
  return folder
}

const variables = ['--env', 'VLLM_URL=http://127.0.0.1:1/v1', '--env=INFERENCE_MODEL=llama3.2:3b']

describe('flags of the start command', () => {
  test.each(['run', 'stack run'])('[PRO-3] corral %s --env sets variables, and --dry-run checks and serves nothing', async (line) => {
    using folder = folderWithFile()
    const around = { cwd: folder.path, env: { HOME: folder.path } }
    const words = [...line.split(' '), 'run.yaml', '--dry-run']
    const without = await inProcess(words, around)
    expect([without.code, without.stdout]).toEqual([1, ''])
    expect(without.stderr).toContain('VLLM_URL')
    expect(await inProcess([...words, ...variables], around)).toEqual({ code: 0, stdout: 'valid: run.yaml, providers: own\n', stderr: '' })
    const json = await inProcess([...words, '--json', '--port', '70000', ...variables], around)
    expect(json).toMatchObject({ code: 1, stderr: '' })
    expect(JSON.parse(json.stdout)).toMatchObject({ valid: false, errors: [{ file: '--port' }] })
  })

  test('--env beats the environment, and of two with one name the last counts', async () => {
    using folder = folderWithFile()
    const around = { cwd: folder.path, env: { HOME: folder.path, VLLM_URL: 'no URL' } }
    const words = ['run', 'run.yaml', '--dry-run', '--env', 'INFERENCE_MODEL=m', '--env', 'VLLM_URL=nor this']
    expect((await inProcess(words, around)).code).toBe(1)
    expect((await inProcess([...words, '--env', 'VLLM_URL=http://127.0.0.1:1/v1'], around)).code).toBe(0)
  })

  test.each([
    [['--env', 'VLLM_URL'], /^error: --env VLLM_URL: the value is missing\.\nWrite --env VLLM_URL=VALUE\.\n$/],
    [['--env', '=sk-secret'], /^error: --env: invalid variable name ''/],
    [['--env', 'A-B=sk-secret'], /^error: --env: invalid variable name 'A-B'/],
    [['--env'], /^error: --env requires a value/],
  ])('%p is a usage error that does not show the value', async (words, message) => {
    const { code, stdout, stderr } = await inProcess(['run', ...words])
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(message)
    expect(stderr).not.toContain('secret')
  })

  test('values are kept as they are', () => {
    const assignments = array(tuple(constantFrom('A', 'B', '_c1'), string()), { maxLength: 5 })
    assert(
      property(assignments, (pairs) => {
        const words = pairs.map(([name, value]) => `${name}=${value}`)
        expect(withVariables({ A: 'before', D: 'd' }, words)).toEqual({ A: 'before', D: 'd', ...Object.fromEntries(pairs) })
      }),
      { numRuns: 50 },
    )
  })

  test('[PRO-3] --insecure and --disable-ipv6 are ignored with a notice', async () => {
    using folder = folderWithFile()
    const around = { cwd: folder.path, env: { HOME: folder.path } }
    const words = ['run', 'run.yaml', '--dry-run', '--insecure', '--disable-ipv6', ...variables]
    const { code, stderr } = await inProcess(words, around)
    expect(code).toBe(0)
    expect(stderr).toMatch(/^note: --insecure is ignored: .*\nnote: --disable-ipv6 is ignored: .*\n$/)
  })

  test('[PRO-3] --insecure does not serve another host without authentication', async () => {
    using folder = folderWithFile()
    const around = { cwd: folder.path, env: { HOME: folder.path, CORRAL_HOME: folder.path } }
    const words = ['run', 'run.yaml', '--port', '0', '--insecure', '--env', 'LISTEN=0.0.0.0', ...variables]
    const { code, stderr } = await inProcess(words, around)
    expect(code).toBe(1)
    expect(stderr).toContain('this address is reachable from other hosts, but authentication is not configured')
  })
})
