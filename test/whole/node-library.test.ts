import { expect, test } from 'bun:test'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chatReply, chatStream, mockUpstream, modelsReply } from '../../src/testing/index.ts'

/** What a Node older than 22 lacks of what the library needs. */
const forOldNode = `Promise.withResolvers ??= function () {
  let resolve, reject
  const promise = new this((a, b) => { resolve = a; reject = b })
  return { promise, resolve, reject }
};
`

async function runOnNode(script: string, args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn('node', [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH } })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (piece: Uint8Array) => (stdout += new TextDecoder().decode(piece)))
  child.stderr.on('data', (piece: Uint8Array) => (stderr += new TextDecoder().decode(piece)))
  const { promise, resolve } = Promise.withResolvers<number | null>()
  child.on('close', resolve)
  return { code: await promise, stdout, stderr }
}

test('[RUN-5] [RES-3] the library, bundled for Node, responds in process, and says what a database takes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'corral-node-'))
  try {
    const built = await Bun.build({
      entrypoints: [join(import.meta.dir, 'node-library-entry.ts')],
      target: 'node',
      outdir: folder,
      naming: 'entry.mjs',
      external: ['node-llama-cpp'],
      banner: forOldNode,
    })
    expect(built.logs.filter(({ level }) => level === 'error')).toEqual([])
    await using upstream = await mockUpstream()
    upstream.respond(({ path, json }) => {
      if (path === '/v1/models') return modelsReply(['m'])
      return json?.stream ? chatStream() : chatReply('From Node.')
    })
    const { code, stdout, stderr } = await runOnNode(join(folder, 'entry.mjs'), [upstream.url])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const said = JSON.parse(stdout) as Record<string, string>
    expect(said.health).toEqual({ status: 'OK' } as never)
    expect(said.plain).toStartWith('200 ')
    expect(said.plain).toContain('From Node.')
    expect(said.streamed).toStartWith('200 data: ')
    expect(said.streamed).toEndWith('data: [DONE]\n\n')
    expect(said.missing).toStartWith('404 ')
    expect(said.registered).toStartWith('503 ')
    expect(said.registered).toContain('SQLite is available on Bun only. Run the server on Bun, or configure a PostgreSQL database')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}, 30_000)
