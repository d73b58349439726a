import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { corral } from '../../cli/corral.ts'
import { load } from '../../config/loading.ts'
import { type LogLine, startProgram } from '../../whole/program.ts'
import { dropped, untilDropped } from '../dropped.ts'

const folder = mkdtempSync(join(tmpdir(), 'corral-log-file-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const linesOf = (text: string) => text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as LogLine] : []))
const fetchOf = (url: string) => ({ fetch: (path: string) => fetch(url + path) })

describe('a log file', () => {
  test.each(['CORRAL_LOG_FILE', 'OGX_LOG_FILE', 'LLAMA_STACK_LOG_FILE'])(
    '[OPS-6] %s: every line of stderr stands in it too, behind what was there',
    async (name) => {
      const file = join(folder, `${name}.log`)
      writeFileSync(file, 'what was there\n')
      const program = await startProgram({ env: { [name]: file } })
      await (await fetch(`${program.url}/v1/models`, { headers: { 'x-request-id': 'file-1' } })).text()
      await program.logged(({ request_id }) => request_id === 'file-1')
      program.signal('SIGTERM')
      await program.exited
      const written = readFileSync(file, 'utf8')
      expect(written).toStartWith('what was there\n')
      expect(linesOf(written)).toEqual(program.log)
      expect(linesOf(written).some(({ request_id, msg }) => request_id === 'file-1' && msg === 'request')).toBe(true)
      await program[Symbol.asyncDispose]()
    },
    30_000,
  )

  test('[OPS-6] Corral’s own variable counts before OGX’s, that before Llama Stack’s; a path begins where the command was given', async () => {
    const env: Record<string, string> = { CORRAL_LOG_FILE: '~/own.log', OGX_LOG_FILE: 'logs/ogx.log', LLAMA_STACK_LOG_FILE: '/llama.log' }
    const files: (string | undefined)[] = []
    for (const name of [...Object.keys(env), 'nothing']) {
      files.push((await load('providers: {}\n', { env, cwd: '/srv', home: '/home/op' })).config.logging.file)
      delete env[name]
    }
    expect(files).toEqual(['/home/op/own.log', '/srv/logs/ogx.log', '/llama.log', undefined])
  })

  test('[OPS-6] one that cannot be opened stops the start, and says what to do', async () => {
    const file = join(folder, 'absent', 'corral.log')
    writeFileSync(join(folder, 'run.yaml'), 'version: 2\nproviders: {}\n')
    const { code, stderr } = await corral(['run', 'run.yaml', '--port', '0'], {
      cwd: folder,
      env: { OGX_LOG_FILE: file, CORRAL_HOME: folder },
    })
    expect(code).toBe(1)
    expect(stderr).toContain(`error: The log file ${file} cannot be opened: ENOENT`)
    expect(stderr).toContain('Name another in CORRAL_LOG_FILE')
  })

  test('[OPS-6] workers write to the same one, which is made for its owner alone', async () => {
    const file = join(folder, 'workers.log')
    await using program = await startProgram({ env: { OGX_LOG_FILE: file }, server: { workers: 2 } })
    const ids = Array.from({ length: 20 }, (_, at) => `shared-${at}`)
    await Promise.all(ids.map((id) => fetch(`${program.url}/v1/models`, { headers: { 'x-request-id': id } })))
    const reported = () => new Set(linesOf(readFileSync(file, 'utf8')).map(({ request_id }) => request_id))
    while (!ids.every((id) => reported().has(id))) await Bun.sleep(20)
    expect(linesOf(readFileSync(file, 'utf8')).filter(({ msg }) => msg === 'worker started')).toHaveLength(2)
    expect(statSync(file).mode & 0o777).toBe(0o600)
  }, 30_000)

  test.if(process.platform === 'linux')(
    '[OPS-6] [OPS-7] a full disk costs lines of the file alone: they are counted, and stderr has them all',
    async () => {
      await using program = await startProgram({ env: { LLAMA_STACK_LOG_FILE: '/dev/full' } })
      for (let at = 0; at < 5; at++)
        expect((await fetch(`${program.url}/v1/models`, { headers: { 'x-request-id': `full-${at}` } })).status).toBe(200)
      const lost = await untilDropped(fetchOf(program.url), 'logs', 5)
      await program.logged(({ request_id }) => request_id === 'full-4')
      expect(await dropped(fetchOf(program.url), 'logs')).toBeGreaterThanOrEqual(lost)
      expect(program.log.some(({ msg }) => msg.includes('dropped'))).toBe(false)
    },
  )
})
