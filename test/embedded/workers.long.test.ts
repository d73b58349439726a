import { expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tinyModel } from '../../src/testing/tiny-model.ts'
import { gone, startProgram } from '../whole/program.ts'
import { helloMessages, type ChatReply } from './embedded-server.ts'

setDefaultTimeout(60_000)

/** The children of a process, as Linux lists them. */
function childrenOf(pid: number): number[] {
  const { stdout } = Bun.spawnSync(['ps', '-o', 'pid=', '--ppid', String(pid)])
  return stdout.toString().split('\n').filter(Boolean).map(Number)
}

function commandOf(pid: number): string {
  return Bun.spawnSync(['ps', '-o', 'args=', '-p', String(pid)]).stdout.toString()
}

function treeOf(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(treeOf)]
}

function modelProcesses(pid: number): number[] {
  return treeOf(pid).filter((one) => commandOf(one).includes('llama-cpp/child/main.ts'))
}

const severalProcesses = process.platform === 'linux'

test.if(severalProcesses)('several workers share one process of models, which comes back after a crash and goes with them', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'corral-test-'))
  writeFileSync(join(folder, 'tiny.gguf'), tinyModel())
  const embedded = {
    provider_id: 'llama-cpp',
    provider_type: 'inline::llama-cpp',
    config: { models_dir: folder, threads: 1, context_size: 512, auto_pull: false },
  }
  const program = await startProgram({ server: { workers: 2, drain_grace_seconds: 0 }, providers: [embedded] })
  const say = async (): Promise<string | null | undefined> => {
    const response = await fetch(`${program.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', connection: 'close' },
      body: JSON.stringify({ model: 'llama-cpp/tiny', messages: helloMessages }),
    })
    return ((await response.json()) as ChatReply).choices[0]?.message.content
  }
  try {
    const responses = await Promise.all(Array.from({ length: 8 }, say))
    expect(new Set(responses)).toEqual(new Set(['Hi, you.']))
    const [first, ...more] = modelProcesses(program.pid)
    expect(more).toEqual([])
    process.kill(first!, 'SIGKILL')
    await gone([first!])
    expect(await say()).toBe('Hi, you.')
    const [second] = modelProcesses(program.pid)
    program.signal('SIGTERM')
    expect(await program.exited).toBe(0)
    await gone([second!])
  } finally {
    await program[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  }
})
