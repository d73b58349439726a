import { connect, createServer, type Server, type Socket } from 'node:net'

/** A way to a server that a test can cut, block and open again, always at the same port. */
interface Proxy extends AsyncDisposable {
  readonly port: number
  /** Connections end, new ones are refused. */
  cut(): Promise<void>
  /** Connections stay, and nothing comes through any more. */
  block(): void
  /** Connections there are stay, and nothing comes through them any more; new ones work. */
  freeze(): void
  /** As at first. Blocked connections are lost. */
  restore(): Promise<void>
}

interface ProxyOptions {
  /** Declines PostgreSQL's request for TLS (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL). */
  readonly withoutTls?: boolean
}

const tlsQuestion = Buffer.from([0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f])

export async function proxyTo(target: { host: string; port: number }, { withoutTls = false }: ProxyOptions = {}): Promise<Proxy> {
  const sockets = new Set<Socket>()
  let frozen = new Set<Socket>()
  let blocked = false
  const relay = (from: Socket, to: Socket) => {
    sockets.add(from)
    from.on('data', (data: Buffer) => {
      if (withoutTls && data.equals(tlsQuestion)) from.write('N')
      else if (!blocked && !frozen.has(from)) to.write(data)
    })
    from.on('error', () => to.destroy())
    from.on('close', () => {
      sockets.delete(from)
      if (!blocked && !frozen.has(from)) to.destroy()
    })
  }
  const accept = (caller: Socket) => {
    const server = connect(target.port, target.host)
    relay(caller, server)
    relay(server, caller)
  }
  const listen = (port: number) =>
    new Promise<Server>((resolve, reject) => {
      const listening = createServer(accept)
      listening.once('error', reject)
      listening.listen(port, '127.0.0.1', () => resolve(listening))
    })
  let listening: Server | undefined = await listen(0)
  const address = listening.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const { port } = address
  const hangUp = () => {
    for (const socket of sockets) socket.destroy()
  }
  const cut = async () => {
    const closing = listening
    listening = undefined
    const closed = new Promise((resolve) => (closing ? closing.close(resolve) : resolve(undefined)))
    hangUp()
    await closed
  }
  return {
    port,
    cut,
    block() {
      blocked = true
    },
    freeze() {
      frozen = new Set(sockets)
    },
    async restore() {
      if (blocked) hangUp()
      blocked = false
      listening ??= await listen(port)
    },
    [Symbol.asyncDispose]: cut,
  }
}
