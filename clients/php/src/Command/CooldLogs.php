<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * What coold itself wrote to the journal; with `follow` what it writes from now on; up to 1 MiB where it is no stream.
 * @implements Command<\Coolify\Coold\Data\CooldLogsAnswer>
 */
final readonly class CooldLogs implements Command
{
    /**
     * @param int|null $tail Only this many of the last lines, up to 100000; 200 when absent.
     * @param bool|null $follow Goes on with what is written from now on; only as a stream.
     */
    public function __construct(
        public ?int $tail = null,
        public ?bool $follow = null,
    ) {
    }

    public function type(): string
    {
        return 'coold.logs';
    }

    public function fields(): array
    {
        return array_filter([
            'tail' => $this->tail,
            'follow' => $this->follow,
        ], static fn (mixed $value): bool => $value !== null);
    }

    public function deadline(): ?float
    {
        return null;
    }

    public function worksAnew(): bool
    {
        return false;
    }

    public function read(mixed $data): \Coolify\Coold\Data\CooldLogsAnswer
    {
        return \Coolify\Coold\Data\CooldLogsAnswer::from($data);
    }
}
