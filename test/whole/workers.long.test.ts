import { expect, setDefaultTimeout, test } from 'bun:test'
import { chatChunk, stall } from '../../src/testing/index.ts'
import { askForChat, gone, isAlive, Program, startProgram, upstreamThat } from './program.ts'

setDefaultTimeout(60_000)

// Several processes on one port are Linux's; elsewhere the same configuration serves with one.
const severalProcesses = process.platform === 'linux'

/** The process ids of the workers that were started so far, in order. */
function workersOf(program: Program): number[] {
  return program.log.filter(({ msg }) => msg === 'worker started').map(({ pid }) => Number(pid))
}

/** Asked by a connection of its own, so that the kernel may give each to another worker. */
async function healthOf(url: string): Promise<number> {
  const { status } = await fetch(`${url}/v1/health`, { headers: { connection: 'close' } })
  return status
}

test.if(severalProcesses)('[SRV-2] several processes share one port; a killed one is replaced', async () => {
  await using program = await startProgram({ server: { workers: 2, drain_grace_seconds: 0 } })
  const [first, second] = workersOf(program) as [number, number]
  expect(isAlive(first) && isAlive(second)).toBe(true)

  process.kill(first, 'SIGKILL')
  await program.logged(({ msg }) => msg.startsWith('worker died (SIGKILL)'))
  await program.until(() => workersOf(program).length === 3)
  expect(await healthOf(program.url)).toBe(200)
  const third = workersOf(program)[2] as number
  await program.logged(({ msg, pid }) => msg.startsWith('Corral serves') && pid === third)
  // With the second one killed as well, any response is from the third.
  process.kill(second, 'SIGKILL')
  await gone([second])
  expect(await healthOf(program.url)).toBe(200)
})

test.if(severalProcesses)('SIGTERM drains them all, and the exit code is 0', async () => {
  await using program = await startProgram({ server: { workers: 2, drain_grace_seconds: 0 } })
  const workers = workersOf(program)
  program.signal('SIGTERM')
  expect(await program.exited).toBe(0)
  expect(program.log.filter(({ msg }) => msg === 'all requests finished')).toHaveLength(2)
  expect(workers.filter(isAlive)).toEqual([])
})

test.if(severalProcesses)('a second signal ends the supervisor and its workers at once', async () => {
  await using upstream = await upstreamThat(() => ({ body: [chatChunk({ content: 'Hel' }), stall] }))
  await using program = await startProgram({ upstream: `${upstream.url}/v1`, server: { workers: 2 } })
  const responses = await Promise.all(Array.from({ length: 8 }, () => askForChat(program.url, { stream: true })))
  program.signalAll('SIGINT')
  await program.logged(({ msg }) => msg.startsWith('SIGINT'))
  // Within a second it would count as the same Ctrl+C.
  await new Promise((resolve) => setTimeout(resolve, 1200))
  program.signal('SIGINT')
  expect(await program.exited).toBe(130)
  await gone(workersOf(program))
  for (const { body } of responses) await body?.cancel().catch(() => undefined)
})

test.if(severalProcesses)('kill -9 of the supervisor leaves no worker behind', async () => {
  await using program = await startProgram({ server: { workers: 2 } })
  const line = await program.logged(({ msg }) => msg === 'worker started')
  const supervisor = Number(line.supervisor)
  process.kill(supervisor, 'SIGKILL')
  await gone([supervisor, ...workersOf(program)])
})

test.if(severalProcesses)('a port in use is reported before any worker starts', async () => {
  await using first = await startProgram({ server: { workers: 2 } })
  await using second = new Program({ port: Number(new URL(first.url).port), server: { workers: 2 } })
  expect(await second.exited).toBe(1)
  expect(second.output).toContain('is already in use')
  expect(workersOf(second)).toEqual([])
})

test.if(severalProcesses)('workers that will not live make the supervisor give up, with a failure as its exit code', async () => {
  await using program = await startProgram({ server: { workers: 2, drain_grace_seconds: 0 } })
  const killed = new Set<number>()
  while (!program.log.some(({ msg }) => msg.includes('giving up'))) {
    const next = workersOf(program).find((pid) => !killed.has(pid))
    if (next === undefined) {
      await program.until(() => workersOf(program).length > killed.size || program.log.some(({ msg }) => msg.includes('giving up')))
      continue
    }
    killed.add(next)
    if (isAlive(next)) process.kill(next, 'SIGKILL')
  }
  expect(await program.exited).toBe(1)
  expect(workersOf(program).filter(isAlive)).toEqual([])
})

test.if(severalProcesses)('what must exist once is started by the supervisor, found by every worker, and gone with it', async () => {
  const config = { models_dir: '/nonexistent/corral-models', auto_pull: false }
  const provider = { provider_id: 'llama-cpp', provider_type: 'inline::llama-cpp', config }
  await using program = await startProgram({ providers: [provider], server: { workers: 2, drain_grace_seconds: 0 } })
  const line = await program.logged(({ msg }) => msg === 'worker started')
  const supervisor = Number(line.supervisor)
  const children = await childrenOf(supervisor)
  const workers = workersOf(program)
  const others = children.filter((pid) => !workers.includes(pid))
  expect(others).toHaveLength(1)
  for (const worker of workers) expect(await childrenOf(worker)).toEqual([])
  program.signal('SIGTERM')
  expect(await program.exited).toBe(0)
  await gone(others)
})

/** As Linux reports it. */
async function childrenOf(pid: number): Promise<number[]> {
  const text = await Bun.file(`/proc/${pid}/task/${pid}/children`).text()
  return text.split(' ').flatMap((word) => (word.trim() === '' ? [] : [Number(word)]))
}
