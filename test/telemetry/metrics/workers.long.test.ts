import { expect, setDefaultTimeout, test } from 'bun:test'
import { chatReply } from '../../../src/testing/index.ts'
import { askForChat, startProgram, type Program, upstreamThat } from '../../whole/program.ts'
import { type ParsedFamily, parseText, valuesOf } from './parse-text.ts'

setDefaultTimeout(60_000)

const severalProcesses = process.platform === 'linux'

async function read(program: Program): Promise<Map<string, ParsedFamily>> {
  const response = await fetch(`${program.url}/metrics`, { headers: { connection: 'close' } })
  return parseText(await response.text())
}

async function readUntil(program: Program, holds: (families: Map<string, ParsedFamily>) => boolean): Promise<Map<string, ParsedFamily>> {
  for (;;) {
    const families = await read(program)
    if (holds(families)) return families
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

const responses = (families: Map<string, ParsedFamily>) =>
  valuesOf(families, 'http_server_request_duration_seconds_count', { http_route: '/v1/chat/completions' }).reduce((a, b) => a + b, 0)

test.if(severalProcesses)('[MET-6] every worker reports all, and what a dead one counted stays', async () => {
  await using upstream = await upstreamThat(() => chatReply())
  await using program = await startProgram({ upstream: `${upstream.url}/v1`, server: { workers: 2, drain_grace_seconds: 0 } })
  const workers = () => program.log.filter(({ msg }) => msg === 'worker started').map(({ pid }) => Number(pid))
  await program.until(() => program.log.filter(({ msg }) => msg.startsWith('Corral serves')).length === 2)
  await Promise.all(Array.from({ length: 30 }, async () => void (await (await askForChat(program.url, {})).text())))
  const before = await readUntil(program, (families) => responses(families) === 30)
  expect(valuesOf(before, 'corral_processes')).toEqual([2])

  process.kill(workers()[0] as number, 'SIGKILL')
  await program.until(() => workers().length === 3)
  const after = await readUntil(program, (families) => valuesOf(families, 'corral_processes')[0] === 2)
  expect(responses(after)).toBe(30)

  // A stopped worker keeps its counts and delays no other.
  process.kill(workers()[2] as number, 'SIGSTOP')
  try {
    const still = await readFromTheOther(program, (families) => valuesOf(families, 'corral_processes')[0] === 1)
    expect(responses(still)).toBe(30)
  } finally {
    process.kill(workers()[2] as number, 'SIGCONT')
  }
  await readUntil(program, (families) => valuesOf(families, 'corral_processes')[0] === 2)
})

/** The kernel gives some connections to the stopped worker: a request without a prompt response is abandoned. */
async function readFromTheOther(program: Program, holds: (families: Map<string, ParsedFamily>) => boolean) {
  for (;;) {
    const stop = new AbortController()
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(2_500)])
    const tries = Array.from({ length: 6 }, async () => {
      const response = await fetch(`${program.url}/metrics`, { headers: { connection: 'close' }, signal })
      return parseText(await response.text())
    })
    const families = await Promise.any(tries).catch(() => undefined)
    stop.abort()
    await Promise.allSettled(tries)
    if (families && holds(families)) return families
  }
}
