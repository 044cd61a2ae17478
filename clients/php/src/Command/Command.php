<?php
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * What a host is asked to do: a verb and its fields.
 *
 * @template T of what it answers
 */
interface Command
{
    /** The verb: `command.type`. */
    public function type(): string;

    /** @return array<string, mixed> what is given, as JSON has it */
    public function fields(): array;

    /** Seconds that the broker waits for the answer; null: as long as for any verb. */
    public function deadline(): ?float;

    /** A repeated request does the work again, so it is repeated only where the host has surely not begun. */
    public function worksAnew(): bool;

    /** @return T */
    public function read(mixed $data): mixed;
}
