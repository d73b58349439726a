/** A program of this package, run by the same Bun in a process of its own, with the same environment. */
export interface ChildProcess {
  readonly pid: number
  /** Where it listens: the port on loopback, or 0 for the Unix socket that it was given. */
  readonly listening: Promise<number>
  /** Resolves with why it ended, e.g. `exit code 1` or `signal SIGSEGV`. */
  readonly ended: Promise<string>
  /** Ends it at once. */
  kill(): void
}

interface ChildOptions {
  /** Absolute path of the TypeScript file. */
  script: string
  /** Handed over as JSON on its standard input, which stays open: the child ends when it closes, so that it never outlives its parent. */
  options: object
  /** One line that it wrote to standard output or standard error. */
  onLine: (line: string) => void
}

/** What a child says once it listens. */
const listeningMark = 'corral-child-listening:'

export function startChild({ script, options, onLine }: ChildOptions): ChildProcess {
  const child = Bun.spawn([process.execPath, script], { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' })
  const listening = Promise.withResolvers<number>()
  void child.stdin.write(`${JSON.stringify(options)}\n`)
  void child.stdin.flush()
  const ended = child.exited.then((code) => (child.signalCode ? `signal ${child.signalCode}` : `exit code ${code}`))
  ended.then((reason) => listening.reject(new Error(`The child process ended before it listened: ${reason}.`))).catch(onLine)
  listening.promise.catch(() => undefined)
  const read = (line: string): void => {
    if (line.startsWith(listeningMark)) listening.resolve(Number(line.slice(listeningMark.length)))
    else if (line !== '') onLine(line)
  }
  eachLine(child.stdout, read).catch(onLine)
  eachLine(child.stderr, read).catch(onLine)
  return { pid: child.pid, listening: listening.promise, ended, kill: () => child.kill('SIGKILL') }
}

async function eachLine(stream: ReadableStream<Uint8Array>, read: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n')
    rest = lines.pop()!
    for (const line of lines) read(line)
  }
  read(rest)
}

/** In the child: what `startChild` handed over. From then on the child ends as soon as its parent does, and by no signal meant for its parent. */
export async function readOptions<Options>(): Promise<Options> {
  // Ctrl-C and a service manager's SIGTERM reach the whole group: the parent drains first, and its end is ours.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => undefined)
  const decoder = new TextDecoder()
  const input = Bun.stdin.stream().getReader()
  let text = ''
  while (!text.includes('\n')) {
    const { done, value } = await input.read()
    if (done) process.exit(0)
    text += decoder.decode(value, { stream: true })
  }
  const untilEnd = async (): Promise<never> => {
    while (!(await input.read()).done);
    process.exit(0)
  }
  void untilEnd().catch(() => process.exit(0))
  return JSON.parse(text) as Options
}

/** In the child: listens on the Unix socket, or on a free port of loopback, and notifies the parent. */
export function listenInside({ socket, fetch }: { socket?: string; fetch: (request: Request) => Promise<Response> }): void {
  const common = { maxRequestBodySize: 2 ** 40, development: false as const }
  const server =
    socket === undefined
      ? Bun.serve({ ...common, idleTimeout: 0, port: 0, hostname: '127.0.0.1', fetch })
      : Bun.serve({ ...common, unix: socket, fetch })
  console.log(`${listeningMark}${server.port ?? 0}`)
}
