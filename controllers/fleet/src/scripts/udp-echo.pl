# Answers datagrams on the ports of the data for some seconds, or until each was asked; a port that is taken is left out.
use strict; use warnings; use IO::Socket::INET; use IO::Select;
my $select = IO::Select->new;
while (my $port = <DATA>) {
  next unless $port =~ /^(\d+)$/;
  my $socket = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '0.0.0.0', LocalPort => $1);
  if ($socket) { $select->add($socket); } else { print "$1 taken\n"; }
}
$| = 1; print "listening\n";
my $end = time + 8; my %asked;
while ($select->count && time < $end) {
  for my $socket ($select->can_read(0.5)) {
    my $from = recv($socket, my $data, 64, 0);
    next unless defined $from && defined $data && $data =~ /^otternauts-probe /;
    send($socket, $data, 0, $from);
    # An answer may get lost: stay a moment for the next try.
    $asked{$socket} = 1;
    $end = time + 1 if keys(%asked) == $select->count && $end > time + 1;
  }
}
