import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { gone, Program } from './program.ts'

setDefaultTimeout(60_000)

const severalProcesses = process.platform === 'linux'
/** Unknown, so that the program writes a warning before it serves. */
const withWarning = { server: { drain_grace_seconds: 0 }, storage: { unknown_section: {} } }

function workerIds(program: Program): number[] {
  return program.log.filter(({ msg }) => msg === 'worker started').map(({ pid }) => Number(pid))
}

describe('a signal during start-up', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('[PRO-1] %s after the first output ends the program with code 0', async (signal) => {
    await using program = new Program(withWarning)
    await program.until(() => program.output !== '')
    program.signal(signal)
    expect(await program.exited).toBe(0)
  })

  test('before the first output the exit code is that of the signal', async () => {
    await using program = new Program({})
    program.signal('SIGTERM')
    expect([143, null]).toContain(await program.exited)
    expect(program.output).toBe('')
  })

  test.if(severalProcesses).each([1, 3])('[PRO-1] after the start of worker %i of 3, none is left', async (count) => {
    await using program = new Program({ server: { workers: 3, drain_grace_seconds: 0 } })
    await program.until(() => workerIds(program).length >= count)
    program.signal('SIGTERM')
    expect(await program.exited).toBe(0)
    await gone(workerIds(program))
  })

  test.if(severalProcesses)('a signal to the whole process group, as service managers send it, is a clean stop too', async () => {
    await using program = new Program({ server: { workers: 3, drain_grace_seconds: 0 } })
    await program.until(() => workerIds(program).length > 0)
    program.signalAll('SIGTERM')
    expect(await program.exited).toBe(0)
    await gone(workerIds(program))
  })

  test('kill -9 of the launcher during start-up leaves no server behind', async () => {
    await using program = new Program(withWarning)
    await program.until(() => program.output !== '')
    program.signal('SIGKILL')
    // Resolves once the pipes are closed, that is, once the server is gone as well.
    await program.exited
    expect(program.output).not.toContain('uncaught')
  })
})
