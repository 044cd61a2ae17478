<?php
declare(strict_types=1);

namespace Coolify\Coold;

use Coolify\Coold\Command\Command;
use Coolify\Coold\Command\HostEvents;
use Coolify\Coold\Data\HostEvent;
use Coolify\Coold\Exception\CooldException;
use Generator;

/** One host: a method for each verb (see the trait), and the same as commands. */
final readonly class Host
{
    use Verbs;

    public function __construct(
        private Client $client,
        public string $id,
        private ?string $requestId = null,
    ) {
    }

    /**
     * The same host, whose next command has this request_id: a worker that died repeats its command by it. Each command needs
     * another one.
     */
    public function as(string $requestId): self
    {
        return new self($this->client, $this->id, $requestId);
    }

    /**
     * Has the host do a command, and waits for its answer.
     *
     * @template T
     * @param Command<T> $command
     * @return T
     * @throws CooldException
     * @throws Exception\Disconnected
     */
    public function dispatch(Command $command): mixed
    {
        $body = $this->body($command);
        $seconds = max($this->client->dispatchSeconds, $command->deadline() ?? 0.0) + 5;
        $envelope = $this->client->call('POST', '/v1/coold/dispatch', $body, $seconds, $command->worksAnew());
        return $command->read($envelope['data'] ?? null);
    }

    /** Has the host do a command whose output comes as it is written: containers.logs, containers.exec, coold.logs. */
    public function stream(Command $command): OutputStream
    {
        return new OutputStream($this->client, $this->body($command), $command->worksAnew());
    }

    /**
     * What happens on the host, as it happens; it never ends by itself. Streams that break off are opened again behind the last
     * event, by the cursor. Store the cursor of each event in the transaction that deals with it.
     *
     * @param string|null $since the cursor of the last event that was dealt with; null: begin with how everything is now
     * @param float $silentSeconds a host says at least every 15 s that it lives
     * @return Generator<int, HostEvent>
     * @throws CooldException for what does not pass by itself
     */
    public function events(?string $since = null, float $silentSeconds = 45.0): Generator
    {
        $wait = 0.2;
        while (true) {
            try {
                $command = new HostEvents($since);
                foreach (LineStream::open($this->client, $this->body($command), false)->lines($silentSeconds) as $line) {
                    if (isset($line['type'])) {
                        $event = HostEvent::from($line);
                        $wait = 0.2;
                        yield $event;
                        $since = $event->cursor;
                    }
                }
            } catch (Exception\Disconnected | Exception\Silent) {
                // Again, below.
            } catch (CooldException $error) {
                if ($error->getCode() < 500 && $error->reason !== 'host_not_connected') {
                    throw $error;
                }
            }
            usleep((int) ($wait * 1e6));
            $wait = min($wait * 2, 5.0);
        }
    }

    /** @return array{host_id: string, request_id: string, command: array<string, mixed>} */
    private function body(Command $command): array
    {
        return [
            'host_id' => $this->id,
            'request_id' => $this->requestId ?? Client::newId($command->type()),
            'command' => ['type' => $command->type()] + $command->fields(),
        ];
    }
}
