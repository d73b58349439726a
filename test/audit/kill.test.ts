import { expect, test } from 'bun:test'
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openAuditLog } from '../../src/telemetry/audit/open.ts'
import { verifyChain } from '../../src/telemetry/audit/verify.ts'

const program = new URL('flooding-process.ts', import.meta.url).pathname

test('[AUD-2] kill -9 in the middle of writing: what was acknowledged is there, and the chain goes on', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'corral-audit-'))
  try {
    let acknowledged = -1
    for (let life = 0; life < 5; life++) acknowledged = Math.max(acknowledged, await killedAfter(folder, 100 + life * 40))
    await (await openAuditLog({ folder, name: 'server' }))[Symbol.asyncDispose]()
    const names = readdirSync(folder).filter((name) => name.endsWith('.jsonl'))
    expect(names).toEqual(['server-000001.jsonl'])
    const bytes = readFileSync(join(folder, 'server-000001.jsonl'))
    const report = await verifyChain('server', [{ name: 'server-000001.jsonl', bytes }])
    expect(report.findings).toEqual([])
    expect(bytes.toString()).toContain(`"resource":"api_key::key_${acknowledged}"`)
    expect(report.lines).toBeGreaterThan(500)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test.skipIf(process.platform !== 'linux')('[AUD-2] a killed process that was not reaped holds no chain', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'corral-audit-'))
  // The shell becomes `tail`, which never waits for the shell's children.
  const shell = spawn('sh', ['-c', `"$0" "$1" "$2" & echo "pid $!"; exec tail -f /dev/null`, process.execPath, program, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const pid = await new Promise<number>((resolve) => {
      let said = ''
      shell.stdout.on('data', (bytes: Buffer) => {
        said += bytes.toString()
        const [, id] = /pid (\d+)/.exec(said) ?? []
        // It writes entries: the chain is its own.
        if (id !== undefined && /^\d+$/m.test(said)) resolve(Number(id))
      })
    })
    process.kill(pid, 'SIGKILL')
    while (!readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')) await new Promise((resolve) => setTimeout(resolve, 5))
    await (await openAuditLog({ folder, name: 'server' }))[Symbol.asyncDispose]()
    expect(readdirSync(folder).filter((name) => name.endsWith('.jsonl'))).toEqual(['server-000001.jsonl'])
  } finally {
    shell.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
})

/** Kills it once so many entries are acknowledged; gives the last of them. */
async function killedAfter(folder: string, entries: number): Promise<number> {
  const child = spawn(process.execPath, [program, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  let last = -1
  child.stdout.on('data', (bytes: Buffer) => {
    for (const line of bytes.toString().split('\n')) if (line) last = Number(line)
    if (last >= entries) child.kill('SIGKILL')
  })
  await new Promise((resolve) => child.on('close', resolve))
  return last
}
